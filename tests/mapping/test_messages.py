"""Message maps: groups, entries, references, identity, one resource once; any message is mapped or refused naming the place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from suture.errors import SutureError
from suture.mapping.compile import Result
from suture.mapping.context import Context, Source
from suture.mapping.library import Library
from suture.standards.hl7v2.message import parse
from tests.mapping.test_oracle import segment_of, tell

HEAD = "MSH|^~\\&|APP|FAC|||20260115083000||{}|MSG1|P|2.5.1\r"
SITE = Context(source=Source(id="lakeside"), now="2026-01-15T08:30:00Z")
TINY = {
    "pid.yaml": "suture: map/1\nmap: t/PID\nsource: hl7v2.PID\ntarget: Patient\nmatch: identifier\nrows:\n"
    "  - {id: i, each: PID-3, to: 'identifier[]', using: hl7v2/CX}\n  - {id: d, from: PID-7, to: birthDate}\n",
    "obr.yaml": "suture: map/1\nmap: t/OBR\nsource: hl7v2.OBR\ntarget: DiagnosticReport\nrows:\n"
    "  - {id: c, from: OBR-4.1, to: code.text}\n  - {id: s, from: OBR-25, to: status}\n",
    "obx.yaml": "suture: map/1\nmap: t/OBX\nsource: hl7v2.OBX\ntarget: Observation\nrows:\n"
    "  - {id: c, from: OBX-3.1, to: code.text}\n  - {id: v, from: OBX-5, to: valueString}\n"
    "  - {id: t, from: OBR-7, to: effectiveDateTime}\n  - {id: p, from: PID-7, to: 'extension[http://birth].valueDate'}\n"
    "  - {id: who, each: OBX-16, to: 'performer[]', using: XCN}\n",
    "xcn.yaml": "suture: map/1\nmap: t/XCN\nsource: hl7v2.XCN\ntarget: Practitioner\nmatch: identifier\nwrite: once\nrows:\n"
    "  - {id: i, from: XCN.1, to: identifier.value}\n  - {id: s, when: XCN.1.exists(), from: XCN.9, to: identifier.system, as: system}\n"
    "  - {id: n, from: XCN.2.1, to: name.family}\n",
    "nte.yaml": "suture: map/1\nmap: t/NTE\nsource: hl7v2.NTE\ntarget: Observation\nrows: [{id: n, from: NTE-3, to: 'note[].text'}]\n",
}
ORU = """suture: map/1
map: t/ORU
source: hl7v2.ORU_R01
target: Bundle
entries:
  - group: PATIENT_RESULT
    entries:
      - {id: patient, from: PATIENT.PID, using: PID}
      - group: ORDER_OBSERVATION
        entries:
          - id: report
            from: OBR
            using: OBR
            rows:
              - {id: subject, to: subject, reference: patient}
              - {id: results, to: "result[]", reference: result}
          - group: OBSERVATION
            entries:
              - id: result
                from: OBX
                where: "OBX-11 != 'X'"
                using: OBX
                also: [{each: NTE, using: NTE}]
                rows: [{id: subject, to: subject, reference: patient}]
"""
TWO = HEAD.format("ORU^R01^ORU_R01") + (
    "PID|1||1^^^A~2^^^B||||19800131\rOBR|1|||GLU|||20260101|||||||||||||||||F\rOBX|1|ST|a||x||||||F|||||7^Doc~^Nobody\rNTE|1||one\rNTE|2||two\r"
    "OBX|2|ST|b||y||||||X\rOBR|2|||LIP|||20260202\rOBX|1|ST|c||z||||||F|||||7^Doc\r"
)


def run(text: str, oru: str = ORU) -> Result:
    return Library({**TINY, "oru.yaml": oru}).compiled("t/ORU").run(text, SITE)


def kinds(result: Result) -> list[str]:
    return [entry["resource"]["resourceType"] for entry in result.value["entry"]]


def of(result: Result, kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in result.value["entry"] if entry["resource"]["resourceType"] == kind]


def test_groups_and_references() -> None:
    found = run(TWO)
    assert kinds(found) == [
        "Patient",
        "DiagnosticReport",
        "Practitioner",
        "Observation",
        "DiagnosticReport",
        "Observation",
    ]
    urls = {entry["resource"].get("code", {}).get("text"): entry["fullUrl"] for entry in found.value["entry"]}
    patient = found.value["entry"][0]["fullUrl"]
    first, second = of(found, "DiagnosticReport")
    assert first["subject"] == second["subject"] == {"reference": patient}
    assert first["result"] == [{"reference": urls["a"]}]
    assert second["result"] == [{"reference": urls["c"]}]
    assert all(o["subject"] == {"reference": patient} for o in of(found, "Observation"))


def test_other_segments_are_the_nearest_ones() -> None:
    first, second = of(run(TWO), "Observation")
    assert (first["effectiveDateTime"], second["effectiveDateTime"]) == ("2026-01-01", "2026-02-02")
    assert first["extension"] == [{"url": "http://birth", "valueDate": "1980-01-31"}]
    assert first["note"] == [{"text": "one"}, {"text": "two"}]


def test_a_resource_behind_a_field_is_there_once_or_contained() -> None:
    found = run(TWO)
    first, second = of(found, "Observation")
    doctor = next(e["fullUrl"] for e in found.value["entry"] if e["resource"]["resourceType"] == "Practitioner")
    assert first["performer"][0] == second["performer"][0] == {"reference": doctor, "display": "Doc"}
    assert first["performer"][1] == {"reference": "#" + first["contained"][0]["id"], "display": "Nobody"}


def test_requests_follow_identity() -> None:
    requests = [entry["request"] for entry in run(TWO).value["entry"]]
    assert requests[0] == {"method": "PUT", "url": "Patient?identifier=urn:suture:source:lakeside:A%7C1"}
    assert requests[1] == {"method": "POST", "url": "DiagnosticReport"}
    assert requests[2] == {
        "method": "POST",
        "url": "Practitioner",
        "ifNoneExist": "identifier=urn:suture:source:lakeside%7C7",
    }


def test_full_urls_are_the_same_every_time_and_different_for_other_messages_only_without_identity() -> None:
    one, again, other = run(TWO), run(TWO), run(TWO.replace("MSG1", "MSG2"))
    assert one.value == again.value
    assert one.value["entry"][0]["fullUrl"] == other.value["entry"][0]["fullUrl"]
    assert one.value["entry"][1]["fullUrl"] != other.value["entry"][1]["fullUrl"]


def test_match_may_pick_an_identifier() -> None:
    picked = ORU.replace("using: PID}", "using: PID, match: \"identifier.where(value = '2')\"}")
    assert run(TWO, picked).value["entry"][0]["request"]["url"] == "Patient?identifier=urn:suture:source:lakeside:B%7C2"
    assert run(TWO.replace("~2^^^B", ""), picked).value["entry"][0]["request"]["url"].endswith("A%7C1")


@pytest.mark.parametrize(
    ("words", "method"),
    [("write: once", "POST"), ("write: create", "POST"), ("write: delete", "DELETE"), ("write: update", "PUT")],
)
def test_ways_to_write(words: str, method: str) -> None:
    entry = run(TWO, ORU.replace("using: PID}", f"using: PID, {words}}}")).value["entry"][0]
    assert entry["request"]["method"] == method
    assert ("ifNoneExist" in entry["request"]) is (words == "write: once")


def test_merges_tell_the_writer() -> None:
    words = 'using: PID, snapshot: [identifier], keep: [{if: "link.exists()", elements: [active]}]}'
    found = run(TWO.replace("19800131", '""'), ORU.replace("using: PID}", words))
    assert found.merges == {
        found.value["entry"][0]["fullUrl"]: {
            "deletes": [{"path": "birthDate", "matching": {}}],
            "snapshot": ["identifier"],
            "keep": [{"if": "link.exists()", "elements": ["active"]}],
        }
    }


def test_lineage_names_entry_segment_and_repetition() -> None:
    told = {(item.target, item.source, item.row) for item in run(TWO).lineage}
    assert ("Bundle.entry[0].resource.identifier[1].value", "PID-3[2].1", "hl7v2/CX:value") in told
    assert ("Bundle.entry[5].resource.code.text", "OBX[3]-3.1", "t/OBX:c") in told
    assert ("Bundle.entry[5].resource.effectiveDateTime", "OBR-7", "t/OBX:t") in told
    assert ("Bundle.entry[3].resource.note[1].text", "NTE[2]-3", "t/NTE:n") in told
    assert ("Bundle.entry[2].resource.name[0].family", "OBX-16.2.1", "t/XCN:n") in told
    assert ("Bundle.entry[1].resource.result[0]", "entry result", "t/ORU:results") in told


def test_loss_names_segments_and_fields_that_no_row_reads() -> None:
    found = run(TWO + "ZZZ|1|x\r")
    assert "ZZZ" in found.loss
    assert "OBR-1" in found.loss
    assert "OBX-5" not in found.loss


def test_conditions_on_groups_and_entries() -> None:
    only = ORU.replace("group: ORDER_OBSERVATION", "group: ORDER_OBSERVATION\n        when: \"OBR-4.1 = 'LIP'\"")
    assert [r["code"]["text"] for r in of(run(TWO, only), "DiagnosticReport")] == ["LIP"]
    never = ORU.replace("id: report", "id: report\n            when: \"MSH-9.2 = 'R02'\"")
    assert of(run(TWO, never), "DiagnosticReport") == []


def test_a_collection_has_no_requests() -> None:
    found = run(TWO, ORU.replace("target: Bundle", "target: Bundle\nbundle: collection"))
    assert found.value["type"] == "collection"
    assert all("request" not in entry for entry in found.value["entry"])


def test_very_many_repetitions_and_fields_do_no_harm() -> None:
    people = "~".join(f"^N{n}" for n in range(20_000))
    text = (
        HEAD.format("ORU^R01") + f"PID|1||1\rOBR|1|||G\rOBX|1|ST|a||x||||||F|||||{people}\rOBX|2" + "|x" * 20_000 + "\r"
    )
    found = run(text)
    first = of(found, "Observation")[0]
    assert len(first["performer"]) == len(first["contained"]) == 20_000
    assert len(found.loss) > 19_000


NAMES = st.sampled_from(
    [
        "PID",
        "PV1",
        "PD1",
        "NK1",
        "AL1",
        "DG1",
        "PR1",
        "IN1",
        "OBR",
        "OBX",
        "ORC",
        "NTE",
        "SPM",
        "MRG",
        "GT1",
        "ZPI",
        "EVN",
        "TXA",
    ]
)
SEGMENTS = st.lists(NAMES.flatmap(segment_of), max_size=8)


@pytest.mark.parametrize("name", [n for n in Library().names() if Library().require(n).kind == "message"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(segments=SEGMENTS)
def test_any_message_is_mapped_or_refused_naming_the_place(name: str, segments: list[str]) -> None:
    compiled = LIBRARY.compiled(name)
    message = parse(HEAD.format(name.partition("/")[2].replace("_", "^")) + "\r".join(segments))
    try:
        found = compiled.run(message, SITE)
    except SutureError as error:
        told = error.where
    else:
        told = found.value["resourceType"]
        tell(found)
        seen = [entry["fullUrl"] for entry in found.value["entry"]]
        assert len(seen) == len(set(seen))
    assert told


LIBRARY = Library()


def test_a_reference_goes_into_the_labelled_item_of_other_rows() -> None:
    rows = "rows: [{id: o, to: 'link[x].other', reference: report}, {id: t, to: 'link[x].type', set: seealso}]"
    found = run(
        TWO,
        ORU.replace(
            "{id: patient, from: PATIENT.PID, using: PID}", "{id: patient, from: PATIENT.PID, using: PID, " + rows + "}"
        ),
    )
    link = found.value["entry"][0]["resource"]["link"]
    assert link == [{"type": "seealso", "other": {"reference": found.value["entry"][1]["fullUrl"]}}]
    told = {(item.target, item.source) for item in found.lineage}
    assert ("Bundle.entry[0].resource.link[0].type", "") in told
    assert ("Bundle.entry[0].resource.link[0].other", "entry report") in told
