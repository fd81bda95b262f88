"""Results over several messages: late, corrected, repeated, in several lines, of every kind; no value is ever lost."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.maps.chart import Chart, obx, oru


def values(chart: Chart) -> list[Any]:
    """The values of the report's results, in its order."""
    found = [chart.referred(item) for item in chart.one("DiagnosticReport").get("result", ())]
    return [r.get("valueString") or r.get("valueQuantity", {}).get("value") for r in found]


def test_a_late_preliminary_result_never_overwrites_a_final_one() -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, "95")))
    chart.send(*oru("P", obx(1, "250", more="P")))
    assert (chart.one("DiagnosticReport")["status"], values(chart)) == ("final", [95])
    assert chart.one("Observation")["status"] == "final"


def test_a_final_result_replaces_a_preliminary_one_and_a_corrected_one_replaces_both() -> None:
    chart = Chart()
    chart.send(*oru("P", obx(1, "250", more="P").replace("|70-99|", "|70-99|H")))
    chart.send(*oru("F", obx(1, "95")))
    assert values(chart) == [95]
    assert "interpretation" not in chart.one("Observation")
    chart.send(*oru("C", obx(1, "96.0", more="C")))
    observation = chart.one("Observation")
    assert (observation["status"], observation["valueQuantity"]["value"]) == ("corrected", Decimal("96.0"))
    assert chart.one("DiagnosticReport")["status"] == "corrected"
    chart.send(*oru("F", obx(1, "97")))
    assert values(chart) == [97]


def test_a_result_that_cannot_be_obtained_takes_the_value_away() -> None:
    chart = Chart()
    chart.send(*oru("P", obx(1, "250", more="P")))
    chart.send(*oru("X", obx(1, "", more="X")))
    observation = chart.one("Observation")
    assert observation["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert "valueQuantity" not in observation
    chart.send(*oru("F", obx(1, "95")))
    assert "dataAbsentReason" not in chart.one("Observation")


def test_two_results_of_one_code_without_sub_id_stay_two() -> None:
    chart = Chart()
    chart.send(*oru("P", obx(1, "95", more="P"), obx(2, "101", more="P")))
    assert values(chart) == [95, 101]
    chart.send(*oru("F", obx(1, "96"), obx(2, "102")))
    assert values(chart) == [96, 102]
    assert len(chart.all("Observation")) == 2


def test_sub_ids_tell_results_apart_whatever_their_order() -> None:
    chart = Chart()
    chart.send(*oru("P", obx(1, "1", sub="1", more="P"), obx(2, "2", sub="2", more="P")))
    chart.send(*oru("F", obx(1, "20", sub="2"), obx(2, "10", sub="1")))
    assert sorted(o["valueQuantity"]["value"] for o in chart.all("Observation")) == [10, 20]
    assert values(chart) == [20, 10]


def test_lines_of_one_text_stay_in_order() -> None:
    chart = Chart()
    lines = [obx(n, f"line {n}", "18842-5^Summary^LN", "TX") for n in range(1, 13)]
    chart.send(*oru("F", *lines))
    assert values(chart) == [f"line {n}" for n in range(1, 13)]


def test_one_number_for_several_panels_makes_a_report_each() -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, "95"), panel="51990-0^Basic^LN"))
    chart.send(*oru("F", obx(1, "96"), panel="24323-8^Comprehensive^LN"))
    codes = [r["code"]["coding"][0]["code"] for r in chart.all("DiagnosticReport")]
    assert codes == ["51990-0", "24323-8"]
    assert sorted(o["valueQuantity"]["value"] for o in chart.all("Observation")) == [95, 96]


def test_one_number_of_two_laboratories_is_two_reports() -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, "95")))
    other = [line.replace("^LAB", "^LAB2") for line in oru("F", obx(1, "96"))]
    chart.send(*other)
    assert len(chart.all("DiagnosticReport")) == 2
    assert len(chart.all("Observation")) == 2


def test_a_result_with_an_id_of_its_own_is_found_by_it() -> None:
    chart = Chart()
    line = obx(1, "95").ljust(1) + "|" * 10 + "R77^LAB"
    chart.send(*oru("P", line, order="L1"))
    chart.send(*oru("F", line.replace("95", "96"), order="L2"))
    assert chart.one("Observation")["valueQuantity"]["value"] == 96


@pytest.mark.parametrize(
    ("kind", "written", "key", "expected"),
    [
        (
            "NM",
            "72.50",
            "valueQuantity",
            {"value": Decimal("72.50"), "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        ),
        (
            "NM",
            "<5",
            "valueQuantity",
            {"value": 5, "comparator": "<", "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        ),
        ("NM", "see note", "valueString", "see note"),
        ("ST", "A", "valueString", "A"),
        ("ST", "A~B", "valueString", "A\nB"),
        (
            "CWE",
            "260373001^Detected^SCT",
            "valueCodeableConcept",
            {
                "coding": [{"code": "260373001", "display": "Detected", "system": "http://snomed.info/sct"}],
                "text": "Detected",
            },
        ),
        (
            "SN",
            ">^10",
            "valueQuantity",
            {"comparator": ">", "value": 10, "unit": "mg/dL", "system": "http://unitsofmeasure.org", "code": "mg/dL"},
        ),
        ("SN", "<>^4", "valueString", "<> 4"),
        ("SN", "^1^:^4", "valueRatio", {"numerator": {"value": 1}, "denominator": {"value": 4}}),
        ("SN", "^1^-^4", "valueRange", {"low": {"value": 1, "unit": "mg/dL"}, "high": {"value": 4, "unit": "mg/dL"}}),
        ("NR", "1^4", "valueRange", {"low": {"value": 1}, "high": {"value": 4}}),
        ("DT", "20261101", "valueDateTime", "2026-11-01"),
        ("TM", "0830", "valueTime", "08:30:00"),
        ("DR", "20261101^20261102", "valuePeriod", {"start": "2026-11-01", "end": "2026-11-02"}),
        ("XPN", "Okafor^Chidi^^^Dr", "valueString", "Okafor Chidi Dr"),
        ("CX", "77^^^LAB&1.2.3&ISO", "valueString", "77 LAB 1.2.3 ISO"),
        ("", "something", "valueString", "something"),
        ("QQ", "a^b~c", "valueString", "a b\nc"),
        ("DT", "20261101~20261102", "valueString", "20261101\n20261102"),
    ],
)
def test_a_value_of_every_kind_is_kept(kind: str, written: str, key: str, expected: Any) -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, written, kind=kind)))
    observation = chart.one("Observation")
    assert observation[key] == expected
    assert sum(name.startswith("value") for name in observation) <= 1
    assert "dataAbsentReason" not in observation


def test_several_numbers_in_one_line_become_components() -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, "120~80~n/a")))
    parts = chart.one("Observation")["component"]
    assert [p.get("valueQuantity", {}).get("value") or p["valueString"] for p in parts] == [120, 80, "n/a"]
    assert [p["code"]["coding"][0]["code"] for p in parts] == ["2345-7"] * 3


def test_several_codes_in_one_line_become_components() -> None:
    chart = Chart()
    chart.send(*oru("F", obx(1, "A^Apple^L~B^Pear^L", kind="CWE")))
    parts = chart.one("Observation")["component"]
    assert [p["valueCodeableConcept"]["coding"][0]["code"] for p in parts] == ["A", "B"]
    chart.send(*oru("C", obx(1, "A^Apple^L", kind="CWE", more="C")))
    assert "component" not in chart.one("Observation")


def test_a_document_becomes_the_form_of_the_report_and_no_result() -> None:
    chart = Chart()
    chart.send(
        *oru(
            "F",
            obx(1, "^AP^PDF^Base64^JVBERi0=", kind="ED"),
            obx(2, "https://pacs.example.org/1^^IM^JPEG", kind="RP"),
            obx(3, "95"),
        )
    )
    report = chart.one("DiagnosticReport")
    assert report["presentedForm"] == [
        {"contentType": "application/pdf", "data": "JVBERi0="},
        {"contentType": "image/jpeg", "url": "https://pacs.example.org/1"},
    ]
    assert values(chart) == [95]


def test_comments_of_the_report_are_its_conclusion_and_those_of_a_result_stay_with_it() -> None:
    chart = Chart()
    chart.send(
        *oru("F", "NTE|1|L|First line", "NTE|2|L|second line", obx(1, "95"), "NTE|1|L|Hemolyzed", "NTE|2|L|Repeated")
    )
    assert chart.one("DiagnosticReport")["conclusion"] == "First line\nsecond line"
    assert [note["text"] for note in chart.one("Observation")["note"]] == ["Hemolyzed", "Repeated"]
    chart.send(*oru("C", obx(1, "95", more="C")))
    assert "conclusion" not in chart.one("DiagnosticReport")
    assert "note" not in chart.one("Observation")


def test_imaging_is_no_laboratory() -> None:
    chart = Chart()
    chart.send(*[line.replace("|LAB|", "|RAD|") for line in oru("F", obx(1, "normal", kind="TX"))])
    assert [c["coding"][0]["code"] for c in chart.one("DiagnosticReport")["category"]] == ["RAD"]
    assert chart.one("Observation")["category"][0]["coding"][0]["code"] == "imaging"
    assert chart.one("ServiceRequest")["category"][0]["coding"][0]["code"] == "363679005"


def test_a_result_without_any_order_number_is_kept_by_its_message() -> None:
    chart = Chart()
    lines = [line.replace("L1^EHR", "").replace("L1^LAB", "") for line in oru("F", obx(1, "95"))]
    chart.send(*lines)
    chart.send(*[lines[0].replace("|000001|", "|000002|"), *lines[1:]])
    assert len(chart.all("DiagnosticReport")) == 2


def test_a_restricted_order_is_labelled() -> None:
    chart = Chart()
    segments = list(oru("F", obx(1, "95")))
    segments.insert(2, "ORC|RE|L1^EHR|L1^LAB" + "|" * 25 + "R")
    chart.send(*segments)
    for kind in ("DiagnosticReport", "ServiceRequest"):
        assert [label["code"] for label in chart.one(kind)["meta"]["security"]] == ["R"]
