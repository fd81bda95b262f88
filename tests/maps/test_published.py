"""Every row of the published v2-to-FHIR tables is mapped, or docs/maps.md says why not (https://github.com/HL7/v2-to-fhir)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

from suture.mapping import tables as code_tables
from suture.mapping.tables import Table
from tests.maps import published, shipped
from tests.maps.published import Row

PAGE = Path(__file__).parents[2] / "docs" / "maps.md"
SEGMENTS = [
    "MSH",
    "EVN",
    "PID",
    "PD1",
    "NK1",
    "PV1",
    "PV2",
    "IN1",
    "AL1",
    "IAM",
    "DG1",
    "PR1",
    "MRG",
    "ORC",
    "OBR",
    "OBX",
    "NTE",
    "SPM",
]
# the tables of datatypes that shipped maps make; the others have targets no shipped map writes, or are read in place
DATATYPES = (
    "CX[Identifier]", "XPN[HumanName]", "XAD[Address]", "XTN[ContactPoint]", "CWE[CodeableConcept]", "CWE[Coding]",
    "XCN[Practitioner]", "XON[Organization]", "PL[Location]", "HD[Organization]", "HD[Identifier]", "EI[Identifier-System]",
    "CQ[Quantity]", "DR[Period]", "SN[Quantity]", "SN[Range]", "SN[Ratio]", "NR[Range]", "ED[Attachment]", "RP[Attachment]",
)  # fmt: skip
LINE = re.compile(r"^\| (\w+\[[\w-]+\]) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
READS = shipped.reads()


@cache
def left_out() -> dict[tuple[str, str], str]:
    """(table, place or `place element`) -> why, as the page says."""
    found: dict[tuple[str, str], str] = {}
    for table, places, why in LINE.findall(PAGE.read_text(encoding="utf-8")):
        for place in places.split(","):
            assert (table, place.strip()) not in found, (table, place)
            found[table, place.strip()] = why
    return found


def excuses(row: Row) -> list[tuple[str, str]]:
    place = row.place or "*"
    keys = [(row.table, place), (row.table, f"{place} {row.element}")]
    if not row.place:
        keys.append((row.table, f"{row.table.split('[')[0]} {row.element}"))
    return keys


def mapped(row: Row) -> bool:
    source, target = re.match(r"(\w+)\[(\w+)", row.table).groups()  # type: ignore[union-attr]
    if source == "SN":  # its three tables are one map of a choice
        return any(place == row.place for _, place, _ in READS)
    if "-" not in row.place and "." not in row.place:
        written = shipped.writes(source) | {(t, e) for t, _, e in READS}
        return (target, row.element) in written
    return any(t == target and p == row.place and row.element in (e, "$this") for t, p, e in READS)


def rows() -> list[Row]:
    found = [row for name in SEGMENTS for row in published.rows("segments", name)]
    names = dict.fromkeys(table.split("[")[0] for table in DATATYPES)
    return found + [row for name in names for row in published.rows("datatypes", name) if row.table in DATATYPES]


def test_every_row_is_mapped_or_left_out_with_a_reason() -> None:
    missing = [row for row in rows() if not mapped(row) and not any(key in left_out() for key in excuses(row))]
    assert [f"{row.table} {row.place} {row.element}" for row in missing] == []


def test_what_the_page_leaves_out_is_in_the_tables_and_not_mapped_after_all() -> None:
    open_ = {key for row in rows() if not mapped(row) for key in excuses(row)}
    assert [key for key in left_out() if key not in open_] == []


# code table of the project -> file, and codes in which we differ on purpose
CODES: dict[str, tuple[str, dict[str, str]]] = {
    "AddressType[Type]": ("address-type", {}),
    "AddressType[Use]": ("address-use", {}),
    "AdministrativeSex": ("administrative-sex", {}),
    "AdmissionType": ("admission-type", {}),
    "AllergenType[AllergyIntoleranceCategory]": ("allergy-category", {}),
    "AllergySeverity[AllergyIntolerance.criticality]": ("allergy-criticality", {}),
    "AllergySeverity[AllergyIntolerance.reaction.severity]": ("allergy-severity", {}),
    "ConfidentialityCode": ("confidentiality", {}),
    "EncounterPriority": ("encounter-priority", {}),
    "EventReason": ("event-reason", {}),
    "InterpretationCodes": ("interpretation", {"MS": "inactive in R4's value set", "VS": "inactive in R4's value set"}),
    "MaritalStatus": ("marital-status", {}),
    "NameType": ("name-use", {}),
    "ObservationResultStatusCodesInterpretation": ("observation-status", {}),
    "PatientClass[EncounterClass]": ("encounter-class", {}),
    "PatientClass[EncounterStatus]": ("encounter-status", {}),
    "Relationship": (
        "relationship",
        {"SEL": "nobody is his own relative", "DOM": "a domestic partner is one", "GRD": "v3 has a code"},
    ),
    "ResultStatus[Non-Queries]": ("report-status", {}),
    "TelecommunicationEquipmentType": ("contact-system", {"CP": "mobile is a use; the system is phone"}),
    "TelecommunicationUseCode": ("contact-use", {}),
    "YesNoIndicator[AvailabilityStatus]": ("specimen-status", {}),
}


def table(name: str) -> Table:
    path = f"tables/{name}.csv"
    text = shipped.LIBRARY.text(path)
    assert text is not None, path
    return code_tables.read(text, path)


@pytest.mark.parametrize("name", list(CODES))
def test_codes_become_what_the_published_code_tables_say(name: str) -> None:
    file, differs = CODES[name]
    ours = table(file)
    wanted = published.codes(name)
    assert wanted, name
    wrong = {
        code: sorted(expected)
        for code, expected in wanted.items()
        if code not in differs and not any(row["to"] in expected for row in ours.find(code, ""))
    }
    assert wrong == {}
    assert [code for code in differs if code not in wanted] == []


def test_every_code_table_that_ships_is_used() -> None:
    used = {
        file
        for name in shipped.LIBRARY.names()
        for file in (shipped.LIBRARY.require(name).sheet.get("tables") or {}).values()
    }
    assert sorted(set(shipped.LIBRARY.tables()) - used) == []
