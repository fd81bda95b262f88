"""The tables name what maps and people name: fields, components, types, structures."""

from __future__ import annotations

from suture.standards.hl7v2 import tables
from suture.standards.hl7v2.tables import ComponentDef, FieldDef


def test_fields_of_a_segment() -> None:
    fields = tables.fields("PID")
    assert fields[2] == FieldDef(3, "Patient Identifier List", "CX", True, "")
    assert fields[6] == FieldDef(7, "Date/Time of Birth", "DTM", False, "")
    assert fields[7] == FieldDef(8, "Administrative Sex", "CWE", False, "0001")
    assert fields[18].name.startswith("SSN Number")  # withdrawn in 2.7, still sent
    assert [f.number for f in fields] == list(range(1, 41))
    assert tables.fields("OBX")[4].type == "varies"
    assert tables.fields("ZPD") == []
    assert tables.segment_name("PID") == "Patient Identification"


def test_components_of_a_type() -> None:
    assert tables.components("CX")[4] == ComponentDef(5, "Identifier Type Code", "ID", "0203")
    assert tables.components("XPN")[0] == ComponentDef(1, "Family Name", "FN", "")
    assert tables.components("FN")[0].name == "Surname"
    assert tables.components("ST") == tables.components("nonsense") == []
    assert tables.type_name("CWE") == "Coded with Exceptions"


def test_every_type_of_a_field_is_known_or_primitive() -> None:
    composite = set(tables.types())
    named = {f.type for s in tables.segments() for f in tables.fields(s)}
    named |= {c.type for t in composite for c in tables.components(t)}
    assert named - composite == {"DT", "DTM", "FT", "GTS", "ID", "IS", "NM", "SI", "SNM", "ST", "TM", "TX", "varies"}


def test_the_structure_of_an_event() -> None:
    events = {
        "A01": "A01",
        "A04": "A01",
        "A07": "A06",
        "A08": "A01",
        "A11": "A09",
        "A28": "A05",
        "A31": "A05",
        "A40": "A39",
    }
    assert {e: tables.structure_of(f"ADT^{e}") for e in events} == {e: f"ADT_{s}" for e, s in events.items()}
    assert tables.structure_of("SIU^S15") == "SIU_S12"
    assert tables.structure_of("ORU^R01") == "ORU_R01"
    assert tables.structure_of("XXX^Y01") == ""
    assert tables.event_name("ADT^A04") == "Register a Patient"
    structures = [
        tables.structure(tables.structure_of(f"ADT^A{n:02d}")) for n in range(1, 63) if n not in (19, 56, 57, 58, 59)
    ]
    assert None not in structures
