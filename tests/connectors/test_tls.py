"""TLS of the listeners, attacked as a scanner does, and renewed while connections come in."""

from __future__ import annotations

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from suture.connectors import tls
from suture.connectors.tls import Files, Renewal, Tls
from suture.errors import Unstartable
from tests.certificates import issue

LISTENERS = ["http", "mllp"]
WEAK = [
    "AES128-SHA", "AES256-SHA", "AES128-GCM-SHA256", "AES256-GCM-SHA384", "ECDHE-RSA-AES128-SHA",
    "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-SHA", "CAMELLIA128-SHA", "NULL-SHA256", "ADH-AES128-SHA256", "PSK-AES128-CBC-SHA",
]  # fmt: skip
SOUND = ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"]


def files(folder: Path, name: str = "http", **kinds: bool) -> Files:
    certificate, key = issue("suture.example", **kinds).write(folder, "own")
    return Files(name, str(certificate), str(key), "", required=name == "mllp")


@asynccontextmanager
async def listening(own: Tls) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=own.context)
    async with server:
        yield server.sockets[0].getsockname()[1]


def calling(least: ssl.TLSVersion, most: ssl.TLSVersion, ciphers: str = "ALL:@SECLEVEL=0") -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version, made.maximum_version = least, most
    made.set_ciphers(ciphers)
    return made


def shaken(port: int, context: ssl.SSLContext, name: str | None = None) -> tuple[str, str, bytes]:
    """The version, the cipher and the certificate that were agreed on."""
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname=name) as s,
    ):
        cipher = s.cipher()
        return s.version() or "", cipher[0] if cipher else "", s.getpeercert(binary_form=True) or b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_versions_are_refused(tmp_path: Path, version: ssl.TLSVersion) -> None:
    async with listening(Tls(files(tmp_path))) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(shaken, port, calling(version, version))


@pytest.mark.parametrize("cipher", WEAK)
@pytest.mark.parametrize("rsa_key", [False, True])
async def test_weak_suites_are_refused(tmp_path: Path, cipher: str, rsa_key: bool) -> None:
    try:
        asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, f"{cipher}:@SECLEVEL=0")
    except ssl.SSLError:
        return  # this OpenSSL can't even ask for it
    async with listening(Tls(files(tmp_path, rsa_key=rsa_key))) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(shaken, port, asking)


@pytest.mark.parametrize("cipher", SOUND)
async def test_sound_suites_are_taken(tmp_path: Path, cipher: str) -> None:
    asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, cipher)
    async with listening(Tls(files(tmp_path))) as port:
        assert (await asyncio.to_thread(shaken, port, asking))[:2] == ("TLSv1.2", cipher)


async def test_the_newest_version_is_taken(tmp_path: Path) -> None:
    async with listening(Tls(files(tmp_path))) as port:
        asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
        assert (await asyncio.to_thread(shaken, port, asking))[0] == "TLSv1.3"


@pytest.mark.parametrize("name", [None, "suture.example"])
async def test_a_renewed_certificate_is_taken_without_a_restart(tmp_path: Path, name: str | None) -> None:
    own = Tls(files(tmp_path, rsa_key=True))
    asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    async with listening(own) as port:
        before = (await asyncio.to_thread(shaken, port, asking, name))[2]
        assert not own.renew()
        issue("suture.example").write(tmp_path, "own")  # of another kind of key
        assert own.renew()
        after = (await asyncio.to_thread(shaken, port, asking, name))[2]
    assert before != after
    only_rsa = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, "aRSA")
    async with listening(own) as port:
        with pytest.raises((ssl.SSLError, ConnectionError)):  # the old one is gone for everybody
            await asyncio.to_thread(shaken, port, only_rsa, name)


@pytest.mark.parametrize("broken", ["nothing", "the key of another"])
async def test_what_can_not_be_used_leaves_the_old_one(
    tmp_path: Path, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    own = Tls(files(tmp_path))
    asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    async with listening(own) as port:
        before = (await asyncio.to_thread(shaken, port, asking))[2]
        if broken == "nothing":
            (tmp_path / "own.pem").unlink()
        else:
            (tmp_path / "own.key").write_bytes(issue("other").key_pem)
        assert not own.renew()
        assert "the one before goes on" in caplog.text
        assert (await asyncio.to_thread(shaken, port, asking))[2] == before


async def test_the_files_are_looked_at_by_themselves(tmp_path: Path) -> None:
    own = Tls(files(tmp_path))
    renewal = Renewal([own, None], 0.02)
    await renewal.start()
    fresh = issue("suture.example")
    fresh.write(tmp_path, "own")
    asking = calling(ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
    async with listening(own) as port, asyncio.timeout(10):
        while (await asyncio.to_thread(shaken, port, asking))[2] != fresh.certificate.public_bytes(Encoding.DER):
            pass
    await renewal.stop()


@pytest.mark.parametrize("name", LISTENERS)
def test_files_that_do_not_fit_are_named(tmp_path: Path, name: str) -> None:
    certificate, _ = issue("one").write(tmp_path, "one")
    _, key = issue("two").write(tmp_path, "two")
    with pytest.raises(Unstartable, match=f"certificate of the {name.upper()} listeners can't be used") as caught:
        tls.made(Files(name, str(certificate), str(key), "", required=False))
    assert caught.value.where == f"{name}.tls_certificate"
    assert f"{name}.tls_key" in caught.value.mend
