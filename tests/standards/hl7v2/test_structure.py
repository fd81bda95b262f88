"""Groups come out of a message as a tree that tolerates disorder and never drops a segment."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards.hl7v2 import structure, tables
from suture.standards.hl7v2.message import Message, parse


def message(type: str, names: str) -> Message:
    lines = [f"MSH|^~\\&|||||||{type}", *(f"{name}|{n}" for n, name in enumerate(names.split()))]
    return parse("\r".join(lines))


CASES: dict[str, tuple[str, str, list[Any]]] = {
    "results with notes and specimen": (
        "ORU^R01",
        "PID PV1 ORC OBR NTE OBX NTE OBX SPM OBX",
        [
            "MSH",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID", ["VISIT", "PV1"]],
                [
                    "ORDER_OBSERVATION",
                    "ORC",
                    "OBR",
                    "NTE",
                    ["OBSERVATION", "OBX", "NTE"],
                    ["OBSERVATION", "OBX"],
                    ["SPECIMEN", "SPM", ["SPECIMEN_OBSERVATION", "OBX"]],
                ],
            ],
        ],
    ),
    "two orders without ORC": (
        "ORU^R01",
        "PID OBR OBX OBR OBX OBX",
        [
            "MSH",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID"],
                ["ORDER_OBSERVATION", "OBR", ["OBSERVATION", "OBX"]],
                ["ORDER_OBSERVATION", "OBR", ["OBSERVATION", "OBX"], ["OBSERVATION", "OBX"]],
            ],
        ],
    ),
    "specimen before the results": (
        "ORU^R01",
        "PID OBR SPM OBX OBX",
        [
            "MSH",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID"],
                ["ORDER_OBSERVATION", "OBR", ["SPECIMEN", "SPM"], ["OBSERVATION", "OBX"], ["OBSERVATION", "OBX"]],
            ],
        ],
    ),
    "two patients": (
        "ORU^R01",
        "PID OBR OBX PID OBR OBX",
        [
            "MSH",
            *[
                ["PATIENT_RESULT", ["PATIENT", "PID"], ["ORDER_OBSERVATION", "OBR", ["OBSERVATION", "OBX"]]],
            ]
            * 2,
        ],
    ),
    "a late PV1 joins its patient": (
        "ORU^R01",
        "PID OBR OBX PV1",
        [
            "MSH",
            [
                "PATIENT_RESULT",
                ["PATIENT", "PID", ["VISIT", "PV1"]],
                ["ORDER_OBSERVATION", "OBR", ["OBSERVATION", "OBX"]],
            ],
        ],
    ),
    "insurance, procedures and Z segments out of order": (
        "ADT^A08",
        "EVN PID PV1 ZPV IN1 AL1 IN2 IN1 ZIN IN2 IN3 DG1 PR1 ROL GT1",
        [
            *["MSH", "EVN", "PID", "PV1", "ZPV"],
            ["INSURANCE", "IN1", "IN2"],
            "AL1",
            ["INSURANCE", "IN1", "ZIN", "IN2", "IN3"],
            "DG1",
            ["PROCEDURE", "PR1", "ROL"],
            "GT1",
        ],
    ),
    "merge of two": (
        "ADT^A40",
        "EVN PID PD1 MRG PID MRG PV1",
        ["MSH", "EVN", ["PATIENT", "PID", "PD1", "MRG"], ["PATIENT", "PID", "MRG", "PV1"]],
    ),
    "an order": (
        "ORM^O01",
        "PID PV1 ORC OBR NTE DG1 ORC RXO",
        [
            "MSH",
            ["PATIENT", "PID", ["PATIENT_VISIT", "PV1"]],
            ["ORDER", "ORC", ["ORDER_DETAIL", "OBR", "NTE", "DG1"]],
            ["ORDER", "ORC", ["ORDER_DETAIL", "RXO"]],
        ],
    ),
    "a type nobody knows is flat": ("QQQ^Q99", "PID OBX ZZ1", ["MSH", "PID", "OBX", "ZZ1"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_tree_of_a_message(case: str) -> None:
    type, names, tree = CASES[case]
    assert structure.groups(message(type, names)).outline() == tree


def test_the_tree_is_walked_by_name() -> None:
    root = structure.groups(message("ORU^R01", "PID ORC OBR OBX NTE OBX ORC OBR OBX"))
    result = root.group("PATIENT_RESULT")
    assert result is not None
    orders = result.groups("ORDER_OBSERVATION")
    assert [len(order.groups("OBSERVATION")) for order in orders] == [2, 1]
    assert [s.number for s in root.find("OBX")] == [1, 2, 3]
    assert [g.name for g in root.find_groups("OBSERVATION")] == ["OBSERVATION"] * 3
    first = orders[0].segment("OBR")
    assert first is not None
    assert first.get(1) == "2"
    assert orders[0].segment("NTE") is None
    assert root.group("INSURANCE") is None


@pytest.mark.parametrize(
    ("type", "expected"),
    [
        ("ADT^A04^ADT_A05", "ADT_A01"),
        ("ADT^A04", "ADT_A01"),
        ("XXX^Z01^ORU_R01", "ORU_R01"),
        ("ORU_R01", "ORU_R01"),
        ("ACK", "ACK"),
        ("", ""),
    ],
)
def test_the_event_decides_the_structure(type: str, expected: str) -> None:
    assert structure.name(message(type, "PID")) == expected


NAMES = [*tables.segments(), "ZZZ", "ZX1"]
TYPES = ["ORU^R01", "ADT^A01", "ADT^A40", "ORM^O01", "VXU^V04", "SIU^S12", "OML^O21", "QQQ^Q99"]


@given(st.sampled_from(TYPES), st.lists(st.sampled_from([n for n in NAMES if n != "MSH"]), max_size=30))
def test_no_segment_is_dropped_or_doubled(type: str, names: list[str]) -> None:
    found = message(type, " ".join(names))
    places = [s.where() for s in structure.groups(found).walk()]
    assert sorted(places) == sorted(s.where() for s in found.segments)
