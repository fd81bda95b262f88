"""What leaves the house leaves a row that is found by whose it was, whether or not the message is still kept."""

from __future__ import annotations

from pathlib import Path

from suture.store import audit, resources, whose
from suture.store.audit import AuditRow
from suture.store.retention import purge
from tests.connectors.site import Say, Site
from tests.engine.rig import Rig, adt

OUT = "{suture: connection/1, id: out, uses: file, folder: out, partner: archive-inc, environment: sandbox}"


def flow(*steps: str) -> str:
    lines = "\n".join(f"  - {step}" for step in steps)
    return f"suture: flow/1\nid: f\nsource: {{uses: mllp.listen, with: {{messages: [ADT^*]}}}}\non_error: {{retry: {{attempts: 1}}}}\nsteps:\n{lines}\n"


def sends(rig: Rig, **wanted: str) -> list[AuditRow]:
    return [entry.row for entry in audit.find(rig.read, what="send", **wanted)]  # type: ignore[arg-type]


async def test_a_send_is_found_by_the_patients_number_also_when_the_message_is_gone(tmp_path: Path) -> None:
    write = "{id: keep, uses: file.write, with: {connection: out, name: '{{ message.control_id }}.hl7'}}"
    async with Rig(tmp_path, {"f": flow(write)}, {"out": OUT}) as rig:
        await rig.send(adt("M1", "100234"), adt("M2", "100235"))
        await rig.settled(2)
        first = whose.by_number(rig.read, "100234")
        (row,) = sends(rig, patient=first)
        assert (row.who, row.type, row.outcome) == ("flow:f", "Delivery", 200)
        assert row.detail == "delivered file.write out archive-inc"
        assert "100234" not in str(row)
        assert len(sends(rig)) == 2
        rig.rooms.database.write_now(lambda tx: purge(tx, tx.now))
        assert rig.messages() == []
        assert sends(rig, patient=first) == [row]
        assert audit.verify(rig.read) is None


async def test_a_send_of_chart_content_is_found_by_the_patient(tmp_path: Path) -> None:
    chart = "{id: chart, uses: map, with: {map: hl7v2/ADT_A01}}"
    save = "{id: save, uses: fhir.write, with: {connection: local}}"
    write = "{id: keep, uses: file.write, with: {connection: out, name: x.json, body: '{{ save.entry[0].response.location }}'}}"
    async with Rig(tmp_path, {"f": flow(chart, save, write)}, {"out": OUT}) as rig:
        await rig.send(adt())
        await rig.settled(1)
        (patient,) = resources.history(rig.read, "Patient")
        written = [entry.row for entry in audit.find(rig.read, what="transaction")]
        assert [row.who for row in written] == ["flow:f"]
        assert written[0].patient == f"Patient/{patient.id}" or f"Patient/{patient.id}" in written[0].patients
        assert sends(rig, patient=whose.by_number(rig.read, "100234"))


async def test_what_was_refused_was_seen_and_what_never_arrived_was_not(tmp_path: Path) -> None:
    steps = [f"{{id: {name}, uses: http.send, wait: false, with: {{connection: {name}, method: POST, path: /x}}}}" for name in ("there", "away")]  # fmt: skip
    async with Site(lambda got: Say(400)) as site:
        there = f"{{suture: connection/1, id: there, uses: http, base: '{site.url}', partner: lab-inc, environment: sandbox}}"
        away = "{suture: connection/1, id: away, uses: http, base: 'http://127.0.0.1:9'}"
        async with Rig(tmp_path, {"f": flow(*steps)}, {"there": there, "away": away}) as rig:
            await rig.send(adt())
            await rig.until(lambda: len(sends(rig)) == 2)
            said = {row.detail: row.outcome for row in sends(rig)}
            assert said == {"refused http.send there lab-inc": 502, "not sent http.send away": 502}
