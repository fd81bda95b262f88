"""A certificate comes from an authority that asks for its proof, is renewed in time, and is never missing meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509

from suture import settings as settings_of
from suture.clock import SetClock
from suture.connectors import acme
from suture.connectors.acme import Acme, Order, Proofs, Refused
from suture.errors import Unstartable
from suture.settings import Settings
from tests.certificates import issue
from tests.connectors.authority import Authority

NAME = "fhir.example.org"


def configured(folder: Path, directory: str, **more: object) -> Settings:
    values = {
        "acme__domains": NAME, "acme__directory": directory, "acme__accept_terms": True, "acme__port": 0,
        "acme__host": "127.0.0.1", "http__tls_certificate": str(folder / "tls" / "own.pem"),
        "http__tls_key": str(folder / "tls" / "own.key"), "http__base_url": f"https://{NAME}",
    }  # fmt: skip
    return settings_of.read(folder, {}).with_values(**{**values, **more})


def order(folder: Path, directory: str, **more: object) -> Order:
    found = acme.order_of(configured(folder, directory, **more))
    assert found
    return found


def held(one: Order) -> x509.Certificate:
    return x509.load_pem_x509_certificate(one.certificate.read_bytes())


@asynccontextmanager
async def proving() -> AsyncIterator[Proofs]:
    proofs = Proofs("127.0.0.1", 0, f"https://{NAME}/")
    await proofs.start()
    yield proofs
    await proofs.stop()


async def test_a_certificate_comes_and_its_key_is_ours_alone(tmp_path: Path) -> None:
    async with proving() as proofs:
        with Authority(proofs.port) as authority:
            wanted = order(tmp_path, authority.url)
            await asyncio.to_thread(acme.fetch, wanted, proofs)
            assert held(wanted) == authority.issued[0]
            assert held(wanted).extensions.get_extension_for_class(
                x509.SubjectAlternativeName
            ).value.get_values_for_type(x509.DNSName) == [NAME]
            assert {f.stat().st_mode & 0o777 for f in (wanted.key, wanted.account)} == {0o600}
            assert proofs.tokens == {}
            await asyncio.to_thread(acme.fetch, wanted, proofs)  # the account is known by now
            assert (len(authority.issued), len(authority.accounts)) == (2, 1)


async def test_a_server_starts_with_a_bridge_and_takes_what_comes(tmp_path: Path) -> None:
    clock = SetClock(datetime.now(UTC))
    with Authority(0) as authority:
        own = Acme(order(tmp_path, authority.url), configured(tmp_path, authority.url), clock)
        bridge = held(own.order)
        assert bridge.issuer == bridge.subject
        await own.start()
        authority.asks = own.proofs.port
        async with asyncio.timeout(20):
            while held(own.order) == bridge:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert held(own.order) == authority.issued[0]
        assert not acme.due(own.order, clock.now(), 30 * 86_400)
        await own.stop()


async def test_who_says_no_is_asked_again_later_and_nothing_changes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with proving() as proofs:
        with Authority(proofs.port) as authority:
            wanted = order(tmp_path, authority.url)
            acme.bridge(wanted, datetime.now(UTC))
            before = wanted.certificate.read_bytes(), wanted.key.read_bytes()
            authority.refuse = True
            with pytest.raises(Refused, match="rateLimited") as caught:
                await asyncio.to_thread(acme.fetch, wanted, proofs)
            assert "Zyxwvut" not in str(caught.value)
            assert (wanted.certificate.read_bytes(), wanted.key.read_bytes()) == before
    with pytest.raises(Refused, match="gave none"):
        await asyncio.to_thread(acme.fetch, wanted, proofs)  # gone


@pytest.mark.parametrize(
    ("days", "by_authority", "name", "wanted"),
    [(90, True, NAME, False), (29, True, NAME, True), (90, False, NAME, True), (90, True, "other.example", True)],
)
def test_when_it_is_due(tmp_path: Path, days: int, by_authority: bool, name: str, wanted: bool) -> None:
    one = order(tmp_path, "http://127.0.0.1:1/", acme__domains=f"{NAME} localhost")
    one.certificate.parent.mkdir()
    made = issue(name, issue("authority") if by_authority else None, days=days)
    one.certificate.write_bytes(made.pem)
    assert acme.due(one, datetime.now(UTC), timedelta(days=30).total_seconds()) is wanted


async def test_port_80_answers_proofs_and_sends_everybody_else_to_https() -> None:
    async with proving() as proofs, httpx.AsyncClient(base_url=f"http://127.0.0.1:{proofs.port}") as http:
        proofs.tokens["abc"] = "abc.thumb"
        assert (await http.get(acme.CHALLENGE + "abc")).text == "abc.thumb"
        for path in (acme.CHALLENGE + "abd", acme.CHALLENGE, "/fhir/Patient?name=Zyxwvut", "/abc"):
            answer = await http.get(path)
            assert (answer.status_code, answer.headers["location"]) == (301, f"https://{NAME}/")
            assert "Zyxwvut" not in str(answer.headers)
        reader, writer = await asyncio.open_connection("127.0.0.1", proofs.port)
        writer.write(b"x" * 10_000)
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"acme__accept_terms": False}, "accepts its terms"),
        ({"http__tls_key": ""}, "where certificates are put"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, more: dict[str, object], text: str) -> None:
    with pytest.raises(Unstartable, match=text) as caught:
        order(tmp_path, "http://127.0.0.1:1/", **more)
    assert caught.value.mend
    assert acme.order_of(configured(tmp_path, "", acme__domains="")) is None
