"""Odd messages as real senders write them, by hand: each is read as meant, grouped, answered, and comes back byte for byte."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from suture.standards.hl7v2 import ack, structure
from suture.standards.hl7v2.ack import Outcome
from suture.standards.hl7v2.message import parse

FOLDER = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Expected:
    type: str
    structure: str
    answer: str
    places: dict[str, str]
    outline: list[Any]
    notes: tuple[str, ...] = field(default=())


CASES = {
    "hospital_update": Expected(
        "ADT^A08",
        "ADT_A01",
        "AA",
        {
            "PID-3[3].1": '""',
            "PID-5.3": '"B"',
            "PID-5[2].2": "JEN",
            "PID-7": "19590230",
            "PID-13[3].4": "jane.quill@example.org",
            "PV1-3.9": "Clinic&Room 2",
            "PV1-19.1": "40077712",
            "NK1[2]-2": "",
            "AL1-5[2]": "Swelling",
            "ZPV-6.2": "OFFICE",
        },
        [
            *["MSH", "EVN", "PID", "PD1", "NK1", "NK1", "PV1", "PV2", "ZPV", "OBX", "AL1", "DG1", "GT1"],
            ["INSURANCE", "IN1", "IN2"],
            ["INSURANCE", "IN1", "ZIN", "ZZZ"],
        ],
    ),
    "microbiology": Expected(
        "ORU^R01",
        "ORU_R01",
        "AA",
        {
            "NTE-3": "Gram negative rods in 1 of 2 bottles\ncalled to 4W 02:05",
            "OBR[2]-26.1.1": "600-7",
            "OBX[2]-5.1": ">=",
            "OBX[4]-5.4": "128",
            "OBR-15.2": "",
        },
        [
            "MSH",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID", ["VISIT", "PV1"]],
                ["ORDER_OBSERVATION", "ORC", "OBR", ["OBSERVATION", "OBX", "NTE"]],
                ["ORDER_OBSERVATION", "OBR", *[["OBSERVATION", "OBX"]] * 3],
            ],
        ],
    ),
    "public_health_lab": Expected(
        "ORU^R01",
        "ORU_R01",
        "",
        {
            "MSH-2": "^~\\&#",
            "MSH-3.2": "2.16.840.1.113883.19.3.1",
            "SPM-2.2.1": "S1",
            "NTE[2]-3": "Reported by telephone & fax",
        },
        [
            "MSH",
            "SFT",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID", "NTE"],
                [
                    "ORDER_OBSERVATION",
                    "ORC",
                    "OBR",
                    ["TIMING_QTY", "TQ1"],
                    ["OBSERVATION", "OBX", "NTE"],
                    ["SPECIMEN", "SPM", ["SPECIMEN_OBSERVATION", "OBX"]],
                ],
            ],
        ],
    ),
    "german_admission": Expected(
        "ADT^A01",
        "ADT_A01",
        "CA",
        {
            "MSH-4": "Südklinik",
            "MSH-10": "Kü00001",
            "PID-5.1": "Müller-Lüdenscheidt",
            "PID-11.1": "Hauptstraße 5 & 7",
            "PID-11.3": "München",
        },
        ["MSH", "EVN", "PID", "PV1", "ZBE"],
    ),
    "document": Expected(
        "MDM^T02",
        "MDM_T02",
        "AA",
        {
            "OBX-5.4": "Base64",
            "OBX-11": "F",
            "OBX[2]-5": "Seen today.\n\nStable; home tomorrow.\nMSH means mean systolic here",
        },
        ["MSH", "EVN", "PID", "PV1", "TXA", ["OBSERVATION", "OBX"], ["OBSERVATION", "OBX"]],
        ("4 lines are no segment; kept as line breaks of the segment before them",),
    ),
    "oldest": Expected("ADT", "", "AA", {"EVN-1": "A01", "PID-3.1": "12001"}, ["MSH", "EVN", "PID", "PV1"]),
    "immunization": Expected(
        "VXU^V04",
        "VXU_V04",
        "AA",
        {"RXA-5.1": "08", "RXA[2]-6": "999", "RXR-2.1": "LT"},
        [
            *["MSH", "PID", "NK1"],
            ["ORDER", "ORC", "RXA", "RXR", ["OBSERVATION", "OBX"], ["OBSERVATION", "OBX"]],
            ["ORDER", "ORC", "RXA"],
        ],
    ),
    "radiology_order": Expected(
        "ORM^O01",
        "ORM_O01",
        "AA",
        {"OBR-13": "cough & fever x 3 days\nr/o pneumonia", "ORC-7.4": "202603151000"},
        [
            "MSH",
            ["PATIENT", "PID", ["PATIENT_VISIT", "PV1"], ["INSURANCE", "IN1"]],
            ["ORDER", "ORC", ["ORDER_DETAIL", "OBR", "NTE", "DG1", ["OBSERVATION", "OBX"]]],
            ["ORDER", "ORC", ["ORDER_DETAIL", "OBR"]],
        ],
    ),
}


def test_every_file_has_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.hl7")} == set(CASES)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("ending", [b"\r", b"\n", b"\r\n"])
def test_an_odd_message_is_read_as_meant(name: str, ending: bytes) -> None:
    expected = CASES[name]
    raw = (FOLDER / f"{name}.hl7").read_bytes().replace(b"\n", b"\r").replace(b"\r", ending)
    message = parse(raw)
    assert message.encode() == raw
    assert message.type == expected.type
    assert structure.name(message) == expected.structure
    assert {place: message.get(place) for place in expected.places} == expected.places
    assert structure.groups(message).outline() == expected.outline
    assert message.notes == expected.notes
    code = ack.code(message, Outcome.ACCEPT)
    assert code == expected.answer
    answer = parse(ack.build(message, code or "AA", now=datetime(2026, 3, 14, tzinfo=UTC), control_id="1"))
    assert answer.get("MSA-2") == message.control_id
    assert answer.get("MSH-6") == message.get("MSH-4")
