"""What a patient's Consent keeps from a partner is not sent; it becomes a dead letter that says why, and nothing of the patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from suture.access import policy
from tests.attacks.world import consent
from tests.engine.rig import Rig, adt

OUT = "{suture: connection/1, id: out, uses: file, folder: out, partner: archive-inc, environment: sandbox}"
HOME = "{suture: connection/1, id: home, uses: file, folder: home}"
FLOW = """suture: flow/1
id: f
source: {uses: mllp.listen, with: {messages: [ADT^*]}}
on_error: {retry: {attempts: 1}}
steps:
  - {id: keep, uses: file.write, with: {connection: CONNECTION, name: "{{ message.control_id }}.hl7"}}
"""
PARTNER = [
    {"role": {"text": "x"}, "reference": {"identifier": {"system": "urn:suture:partner", "value": "archive-inc"}}}
]
OTHER = [{"role": {"text": "x"}, "reference": {"identifier": {"system": "urn:suture:partner", "value": "other"}}}]
CONDITIONS = [{"system": "http://hl7.org/fhir/resource-types", "code": "Condition"}]


async def prepare(rig: Rig, provision: dict[str, Any]) -> None:
    patient = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:x", "value": "100234"}]}
    denying = consent() | {"patient": {"reference": "Patient/p1"}, "provision": {"type": "deny", **provision}}
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in (patient, denying)
    ]
    unit = rig.rooms.interactions.transaction_unit(
        policy.SYSTEM, {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    )
    await rig.rooms.database.write(unit)


@pytest.mark.parametrize(
    ("provision", "connection", "sent"),
    [
        ({}, "out", False),
        ({"actor": PARTNER}, "out", False),
        ({"actor": OTHER}, "out", True),
        ({"class": CONDITIONS}, "out", False),  # a message is one thing: it may hold conditions
        ({"action": [{"coding": [{"code": "collect"}]}]}, "out", True),
        ({"period": {"end": "2001"}}, "out", True),
        ({}, "home", True),  # it does not leave the house
    ],
)
async def test_a_consent_is_asked_before_a_send(
    tmp_path: Path, provision: dict[str, Any], connection: str, sent: bool
) -> None:
    async with Rig(tmp_path, {"f": FLOW.replace("CONNECTION", connection)}, {"out": OUT, "home": HOME}) as rig:
        await prepare(rig, provision)
        await rig.send(adt("M1", "100234"), adt("M2", "999"))
        await rig.settled(2)
        written = sorted(file.name for file in (tmp_path / connection).glob("*.hl7"))
        assert written == (["M1.hl7", "M2.hl7"] if sent else ["M2.hl7"])
        reasons = [letter.reason for letter in rig.letters()]
        assert len(reasons) == (0 if sent else 1)
        for reason in reasons:
            assert "a Consent of the patient keeps this from its destination" in reason
            assert "100234" not in reason
