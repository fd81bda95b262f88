"""Webhooks over HTTP: proved, answered 202 only when kept, and refused with the status that fits."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path

import httpx

from suture.store import messages, vault
from tests.server.running import serving

FLOW = """suture: flow/1
id: intake
source: {uses: http.listen, with: {secret: secret:intake, max_body: 1kB}}
steps: [{id: keep, uses: filter, with: {when: kind = 'intake'}}]
"""


async def test_a_webhook_is_taken_once_proved_and_refused_otherwise(tmp_path: Path) -> None:
    (tmp_path / "flows").mkdir()
    (tmp_path / "flows" / "intake.yaml").write_text(FLOW)
    async with serving(tmp_path) as running, httpx.AsyncClient() as client:
        url = running.app.settings["http.base_url"]
        await running.app.database.write(lambda tx: vault.put(tx, "intake", "s3cret", "hook:intake"))
        body = json.dumps({"kind": "intake"}).encode()
        signed = {
            "x-signature": "sha256=" + hmac.new(b"s3cret", body, hashlib.sha256).hexdigest(),
            "idempotency-key": "e1",
        }
        taken = await client.post(f"{url}/hooks/intake", content=body, headers=signed)
        again = await client.post(f"{url}/hooks/intake", content=body, headers=signed)
        assert (taken.status_code, again.status_code) == (202, 202)
        assert again.json() == {"id": taken.json()["id"], "duplicate": True}
        assert messages.entry(running.app.database.read, taken.json()["id"]) is not None
        refused = {
            401: await client.post(f"{url}/hooks/intake", content=body, headers={"x-signature": "00"}),
            404: await client.post(f"{url}/hooks/other", content=body, headers=signed),
            413: await client.post(f"{url}/hooks/intake", content=b"x" * 1001, headers=signed),
            405: await client.get(f"{url}/hooks/intake"),
        }
        assert {status: answer.status_code for status, answer in refused.items()} == {
            status: status for status in refused
        }
