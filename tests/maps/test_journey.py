"""The shipped maps through listeners, flows and the real store: a stay with results, and a merge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suture.access import policy
from suture.message import MessageState
from suture.standards.fhir import json
from tests.engine.rig import Rig
from tests.maps.chart import HOSPITAL, adt, msh, obx, oru, pid, pv1

FLOW = """suture: flow/1
id: {id}
source: {{uses: mllp.listen, with: {{messages: [{messages}], system: "urn:test:lakeside", time_zone: America/Chicago}}}}
order_by: PID-3.1
steps:
  - {{id: chart, uses: map, with: {{map: hl7v2/{map}}}}}
  - {{id: check, uses: validate}}
  - {{id: save, uses: fhir.write}}
"""
ADMISSIONS = ", ".join(f"ADT^A{n}" for n in ("01", "03", "08", "13"))
FLOWS = {
    "visits": FLOW.format(id="visits", messages=ADMISSIONS, map="ADT_A01"),
    "merges": FLOW.format(id="merges", messages="ADT^A40", map="ADT_A39"),
    "results": FLOW.format(id="results", messages="ORU^R01", map="ORU_R01"),
}


async def found(rig: Rig, kind: str, **search: str) -> list[dict[str, Any]]:
    answer = await rig.rooms.interactions.search(policy.SYSTEM, kind, tuple(search.items()))
    return [entry["resource"] for entry in json.read(answer.body).get("entry", [])]


async def test_a_stay_with_results_and_a_merge(tmp_path: Path) -> None:
    number = 0

    async def send(rig: Rig, lines: tuple[str, ...]) -> None:
        nonlocal number
        number += 1
        text = "\r".join(lines).replace("|000001|P|", f"|{number:06d}|P|")
        assert await rig.send(text.encode() + b"\r") == ["AA"]
        await rig.settled(number)
        assert rig.letters() == []

    async with Rig(tmp_path, FLOWS) as rig:
        await send(rig, adt("A01", pid(), pv1()))
        await send(rig, oru("P", obx(1, "250", more="P").replace("|70-99|", "|70-99|H"), obx(2, "101", more="P")))
        await send(rig, oru("F", obx(1, "95"), obx(2, "", more="X")))
        await send(rig, oru("P", obx(1, "250", more="P")))
        first, second = sorted(await found(rig, "Observation"), key=lambda o: o["identifier"][0]["value"])
        assert (first["status"], first["valueQuantity"]["value"]) == ("final", 95)
        assert "interpretation" not in first
        assert (second["status"], "valueQuantity" in second) == ("cancelled", False)
        assert (await found(rig, "DiagnosticReport"))[0]["status"] == "final"

        await send(rig, adt("A03", pid(), pv1(end="20261125093000", disposition="01")))
        assert [(v["status"], "end" in v["period"]) for v in await found(rig, "Encounter")] == [("finished", True)]
        await send(rig, adt("A13", pid(), pv1()))
        assert [(v["status"], "end" in v["period"]) for v in await found(rig, "Encounter")] == [("in-progress", False)]

        await send(
            rig, (msh("ADT^A40^ADT_A39"), "EVN|A40|20261125100000", pid("300003"), f"MRG|100001^^^{HOSPITAL}^MR")
        )
        await send(rig, adt("A08", pid(name="Rivera^May"), pv1()))
        retired = (await found(rig, "Patient", identifier="urn:oid:2.16.840.1.113883.19.5.1|100001"))[0]
        assert (retired["active"], retired["link"][0]["type"]) == (False, "replaced-by")
        assert retired["name"][0]["given"] == ["May"]
        winner = (await found(rig, "Patient", identifier="urn:oid:2.16.840.1.113883.19.5.1|300003"))[0]
        assert retired["link"][0]["other"]["reference"] == f"Patient/{winner['id']}"
        assert {m.state for m in rig.messages()} == {MessageState.DONE}
