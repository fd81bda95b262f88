"""The step `validate` with a profile: of US Core, of a guide that is installed, of one that is not; in tests of flows, too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from suture.access import policy
from suture.cli import test as flow_tests
from suture.engine import replay
from suture.engine.planner import last_write
from suture.engine.replay import Wish
from suture.message import RunState
from suture.store import vault
from tests.commands import run
from tests.engine.rig import Rig
from tests.standards.fhir.profiles.made import PULSE, mark_profile, pulse, pulse_profile

FLOW = """suture: flow/1
id: intake
source: {{uses: http.listen, with: {{secret: secret:intake, proof: bearer}}}}
steps:
  - {{id: check, uses: validate, with: {{profile: {profile}}}}}
  - {{id: save, uses: fhir.write}}
"""
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "1"}],
    "name": [{"family": "Testperson"}],
    "gender": "female",
}
MEND = ". Install its guide: suture ig install FILE.tgz; then replay. In a flow test: give its StructureDefinition."
MINE = {"authorization": "Bearer s3cret"}


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    entries = [
        {"fullUrl": f"urn:uuid:00000000-0000-4000-8000-00000000000{n}", "resource": one}
        for n, one in enumerate(resources)
    ]
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


async def sent(rig: Rig, *contents: dict[str, Any]) -> None:
    await rig.rooms.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
    for content in contents:
        await rig.engine.hook("intake", MINE, json.dumps(content).encode())
    await rig.settled(len(contents))


def letters(rig: Rig) -> list[tuple[str, str]]:
    return [(one.step, one.reason.partition(" (")[0]) for one in rig.letters()]


@pytest.mark.parametrize("name", ["us-core", "us-core@6.1.0", "us-core-patient"])
async def test_us_core_lets_through_what_keeps_it(tmp_path: Path, name: str) -> None:
    async with Rig(tmp_path, {"f": FLOW.format(profile=name)}) as rig:
        await sent(rig, PATIENT, bundle(PATIENT), bundle(PATIENT, {"resourceType": "Patient", "gender": "male"}))
        assert [one.state for one in rig.runs()] == [RunState.DONE, RunState.DONE, RunState.FAILED]
        ((step, reason),) = letters(rig)
        assert step == "check"
        assert "The element is missing." in reason


async def install(rig: Rig) -> None:
    chart = rig.rooms.interactions
    entries = [
        {"resource": one | {"id": id}, "request": {"method": "PUT", "url": f"StructureDefinition/{id}"}}
        for id, one in (("pulse", pulse_profile), ("mark", mark_profile))
    ]
    unit = chart.transaction_unit(policy.SYSTEM, {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    await rig.rooms.database.write(unit)


async def test_a_profile_of_an_installed_guide(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FLOW.format(profile=PULSE)}) as rig:
        await install(rig)
        await sent(rig, pulse(), pulse(subject=None), bundle(PATIENT, pulse()))
        assert [one.state for one in rig.runs()] == [RunState.DONE, RunState.FAILED, RunState.DONE]
        ((step, reason),) = letters(rig)
        assert step == "check"
        assert "The element is missing." in reason
        version = rig.engine.versions.active["intake"]
        assert last_write(version) is None  # it reads what is stored, so it is not planned beside


async def test_a_profile_that_is_not_here_is_told_and_a_replay_after_the_install_goes_on(tmp_path: Path) -> None:
    async with Rig(tmp_path, {"f": FLOW.format(profile=PULSE)}) as rig:
        await sent(rig, pulse())
        assert letters(rig) == [("check", f"profile: the profile {PULSE} is not here{MEND}")]
        await install(rig)
        letter = rig.letters()[0]
        await rig.rooms.database.write(lambda tx: replay.letter(tx, letter, rig.engine.versions, Wish(by="me")))
        await rig.settled(2)
        assert [one.state for one in rig.runs()] == [RunState.FAILED, RunState.DONE]


TEST = (
    "{suture: test/1, flow: intake, given: [pulse.json], send: sent.json, expect: [{step: check, where: errors = 0}]}"
)


def test_a_flow_test_gives_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("flows", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "flows/f.yaml").write_text(FLOW.format(profile=PULSE))
    (tmp_path / "tests/sent.json").write_text(json.dumps(pulse()))
    (tmp_path / "tests/pulse.json").write_text(json.dumps(bundle(pulse_profile, mark_profile)))
    (tmp_path / "tests/t.yaml").write_text(TEST)
    assert run(flow_tests.app, str(tmp_path)).exit_code == 0
    (tmp_path / "tests/t.yaml").write_text(TEST.replace("given: [pulse.json], ", ""))
    told = run(flow_tests.app, str(tmp_path))
    assert told.exit_code == 1
    assert f"the profile {PULSE} is not here" in told.output
