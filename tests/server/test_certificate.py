"""Programs that show a certificate instead of a key: known by it alone, never taken from a browser, ended like a key."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from suture.access import people, policy, programs
from suture.errors import Conflict, Invalid
from tests.certificates import Pair, issue
from tests.server.people import patient
from tests.server.running import Running, serving


@asynccontextmanager
async def secured(folder: Path, authority: Pair) -> AsyncIterator[tuple[Running, ssl.SSLContext]]:
    certificate, key = issue("localhost", authority).write(folder, "own")
    ca, _ = authority.write(folder, "ca")
    values = {"http__tls_certificate": str(certificate), "http__tls_key": str(key), "http__tls_client_ca": str(ca)}
    async with serving(folder, **values) as running:
        yield running, ssl.create_default_context(cafile=str(ca))


def showing(trust: ssl.SSLContext, own: Pair, folder: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    made.load_cert_chain(*own.write(folder, "client"))
    return made


async def get(
    url: str, trust: ssl.SSLContext, path: str = "/fhir/Patient/p1", **headers: str | bytes
) -> httpx.Response:
    async with httpx.AsyncClient(verify=trust, base_url=url, headers=headers) as http:
        return await http.get(path)


async def test_a_certificate_is_who_calls(tmp_path: Path) -> None:
    authority = issue("authority")
    async with secured(tmp_path, authority) as (running, trust):
        await running.app.interactions.update(policy.SYSTEM, "Patient", "p1", patient("p1", "Alma"))
        own = issue("lab", authority)
        known = programs.fingerprint(own.pem)
        client, key = people.add_client(running.app.database, "lab", "system/Patient.rs", "", 0, known)
        assert key == ""
        mine = showing(trust, own, tmp_path)
        assert (await get(running.url, mine)).status_code == 200
        assert running.trail()[-1].who == f"client:{client.id}"
        assert (await get(running.url, mine, "/fhir/Observation")).status_code == 403
        assert (await get(running.url, trust)).status_code == 401
        other = showing(trust, issue("other", authority), tmp_path)
        assert (await get(running.url, other)).status_code == 401
        with pytest.raises(Conflict, match="has this certificate"):
            people.add_client(running.app.database, "again", "system/Patient.rs", "", 0, known)
        people.revoke_client(running.app.database, "lab")
        assert (await get(running.url, showing(trust, own, tmp_path))).status_code == 401


async def test_a_browser_s_certificate_does_not_count(tmp_path: Path) -> None:
    authority = issue("authority")
    async with secured(tmp_path, authority) as (running, trust):
        own = issue("lab", authority)
        people.add_client(running.app.database, "lab", "system/*.cruds", "", 0, programs.fingerprint(own.pem))
        mine = showing(trust, own, tmp_path)
        assert (await get(running.url, mine, origin="https://evil.example")).status_code == 401
        assert (await get(running.url, mine, **{"sec-fetch-site": "cross-site"})).status_code == 401


@pytest.mark.parametrize("key", ["certificate {0}", "certificate\u00a0{0}", "{0}", "sk_certificate {0}"])
async def test_a_fingerprint_is_no_key(tmp_path: Path, key: str) -> None:
    authority = issue("authority")
    async with secured(tmp_path, authority) as (running, trust):
        known = programs.fingerprint(issue("lab", authority).pem)
        people.add_client(running.app.database, "lab", "system/*.cruds", "", 0, known)
        answer = await get(running.url, trust, authorization=f"Bearer {key.format(known)}".encode())
        assert answer.status_code == 401


async def test_a_certificate_of_a_stranger_ends_the_handshake(tmp_path: Path) -> None:
    authority = issue("authority")
    async with secured(tmp_path, authority) as (running, trust):
        mine = showing(trust, issue("lab", issue("stranger")), tmp_path)
        with pytest.raises((httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError)):
            await get(running.url, mine)


def test_what_is_no_certificate_is_told() -> None:
    with pytest.raises(Invalid, match="not a PEM certificate"):
        programs.fingerprint(b"nothing")
