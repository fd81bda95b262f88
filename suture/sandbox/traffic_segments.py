"""Writes the segments of the sandbox's ADT traffic from facts about people (HL7 v2.5.1 chapters 2, 3 and 6)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from suture.sandbox.people import MRN_SYSTEM, Person
from suture.standards.hl7v2.escapes import escape

HOSPITAL = f"LAKESIDE&{MRN_SYSTEM.removeprefix('urn:oid:')}&ISO"
SEX = {"female": "F", "male": "M"}
CLASS = {"in": "I", "out": "O", "expected": "P", "left": "I", "known": "O", "new": "O"}
ALLERGIES = (
    ("7980", "Penicillin G", "RXNORM"),
    ("91936005", "Allergy to penicillin", "SCT"),
    ("227493005", "Cashew nuts", "SCT"),
)
REACTIONS = ("HIVES", "RASH", "WHEEZING", "ANAPHYLAXIS")
DIAGNOSES = (
    ("E11.9", "Type 2 diabetes mellitus without complications"),
    ("I10", "Essential (primary) hypertension"),
    ("J45.909", "Unspecified asthma, uncomplicated"),
    ("I50.9", "Heart failure, unspecified"),
    ("S52.501A", "Unspecified fracture of lower end of right radius, initial encounter"),
)
PROCEDURES = (("80146002", "Appendectomy"), ("73761001", "Colonoscopy"), ("40701008", "Echocardiography"))
KIN = (("SPO", "Spouse"), ("MTH", "Mother"), ("FTH", "Father"), ("CHD", "Child"), ("FND", "Friend"))


class Visit(Protocol):
    """What PV1 tells of a stay."""

    state: str
    number: str
    place: str
    before: str
    since: datetime
    left: datetime | None
    doctor: tuple[str, str, str]


def message(segments: Sequence[str]) -> bytes:
    """Segments as a message in UTF-8."""
    return ("\r".join(s for s in segments if s) + "\r").encode()


def line(name: str, fields: Mapping[int, str]) -> str:
    """A segment from its written fields by number."""
    return "|".join([name, *(fields.get(n, "") for n in range(1, max(fields, default=0) + 1))])


def text(*components: str) -> str:
    """Components of plain text, escaped."""
    return "^".join(escape(component) for component in components).rstrip("^")


def stamp(moment: datetime, offset: bool = False) -> str:
    return moment.strftime("%Y%m%d%H%M%S") + ("-0600" if offset else "")


def header(type: str, control_id: str, now: datetime, application: str = "ADT") -> str:
    """MSH; the structure of the event stands in MSH-9.3."""
    shared = {
        "A04": "A01",
        "A08": "A01",
        "A13": "A01",
        "A28": "A05",
        "A31": "A05",
        "A07": "A06",
        "A11": "A09",
        "A40": "A39",
    }
    code, event_ = type.split("^")
    structure = f"{code}_{shared.get(event_, event_)}" if code == "ADT" else f"{code}_{event_}"
    head = f"MSH|^~\\&|{application}|LAKESIDE|SUTURE|HUB|{stamp(now, True)}||{type}^{structure}|{control_id}|P|2.5.1"
    return head + "||||||UNICODE UTF-8"


def event(name: str, now: datetime) -> str:
    return f"EVN||{stamp(now)}|||REG7^Keller^Ines"


def patient(p: Person, mrn: str, visit_number: str) -> str:
    """PID with the record number, name, birth date, sex, race, address, telephone, language and account."""
    account = f"{visit_number}^^^{HOSPITAL}^AN" if visit_number else ""
    return line(
        "PID",
        {
            1: "1",
            3: f"{mrn}^^^{HOSPITAL}^MR~{p.member}^^^{p.payer[0]}^MB",
            5: text(p.family, p.given, p.middle) + "^^^^L",
            7: p.birth.strftime("%Y%m%d"),
            8: SEX[p.gender],
            10: text(*p.race, "CDCREC"),
            11: text(p.line, "", p.city, p.state, p.postal, "USA", "H"),
            13: f"{p.phone}^PRN^PH^^1^{p.phone[:3]}^{p.phone[4:].replace('-', '')}~^NET^Internet^{text(p.email)}",
            15: text(*p.language, "ISO639"),
            18: account,
            22: text(*p.ethnicity, "CDCREC"),
        },
    )


def kin(p: Person, number: int, r: random.Random) -> str:
    code, display = r.choice(KIN)
    name = text(p.family, r.choice(("Alex", "Kim", "Robin", "Jo")))
    return line(
        "NK1",
        {
            1: str(number),
            2: name,
            3: text(code, display, "HL70063"),
            4: text(p.line, "", p.city, p.state, p.postal),
            5: "555-0199^PRN^PH",
            7: "C^Emergency Contact^HL70131",
        },
    )


def visit(stay: Visit, name: str) -> str:
    """PV1: class, location, prior location, attending, visit number, admitted and discharged."""
    fields = {
        1: "1",
        2: CLASS[stay.state],
        3: stay.place,
        4: "E" if stay.place.startswith("ED") else "R",
        7: f"{text(*stay.doctor)}^^^^^^NPI&2.16.840.1.113883.4.6&ISO^L^^^NPI",
        10: "MED",
        14: "7",
        19: f"{stay.number}^^^{HOSPITAL}^VN",
        44: stamp(stay.since),
    }
    if name in {"A02", "A12"}:
        fields[6] = stay.before
    if stay.left:
        fields[36] = "01"
        fields[45] = stamp(stay.left)
    return line("PV1", fields)


def merged(old: str, p: Person) -> str:
    return line("MRG", {1: f"{old}^^^{HOSPITAL}^MR", 7: text(p.family, p.given)})


def allergy(r: random.Random) -> bytes:
    rows = []
    for number in range(1, r.randint(0, 2) + 1):
        coded = text(*r.choice(ALLERGIES))
        rows.append(
            line(
                "AL1",
                {
                    1: str(number),
                    2: "DA^Drug allergy^HL70127",
                    3: coded,
                    4: r.choice(("MI", "MO", "SV")),
                    5: r.choice(REACTIONS),
                },
            )
        )
    return message(rows) if rows else b""


def diagnosis(r: random.Random, now: datetime) -> bytes:
    code, display = r.choice(DIAGNOSES)
    return message([line("DG1", {1: "1", 3: text(code, display, "I10C"), 5: stamp(now), 6: r.choice("AWF")})])


def procedure(r: random.Random, now: datetime) -> bytes:
    if r.random() < 0.8:
        return b""
    code, display = r.choice(PROCEDURES)
    return message([line("PR1", {1: "1", 3: text(code, display, "SCT"), 5: stamp(now - timedelta(hours=2)), 6: "P"})])


def insurance(p: Person) -> bytes:
    fields = {
        1: "1",
        2: text(p.payer[0], p.payer[1]),
        3: p.payer[0],
        4: text(p.payer[1]),
        8: f"G{p.payer[0]}",
        12: "20260101",
        16: text(p.family, p.given),
        17: "SEL^Self^HL70063",
        18: p.birth.strftime("%Y%m%d"),
        36: p.member,
    }
    return message([line("IN1", fields), line("IN2", {1: p.member})])
