"""The shell around the handlers: limits, time-outs, headers, log, on real sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from pathlib import Path

import httpx
import pytest

from suture.app import open_server
from suture.errors import Unstartable
from suture.server.web import bind
from tests.server.people import patient
from tests.server.running import FHIR, Running, serving
from tests.stores import settings


async def raw(server: Running, *parts: bytes, pause: float = 0.0) -> bytes:
    """What comes back for these bytes until the connection is closed (or nothing more comes)."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    for part in parts:
        writer.write(part)
        await writer.drain()
        await asyncio.sleep(pause)
    found = b""
    try:
        async with asyncio.timeout(3):
            while chunk := await reader.read(65536):
                found += chunk
    except TimeoutError:
        pass
    writer.close()
    return found


def head(server: Running, length: int, extra: bytes = b"") -> bytes:
    key = server.http.headers["authorization"].encode()
    return (
        b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: " + key + b"\r\nContent-Type: application/fhir+json\r\n"
        b"Content-Length: " + str(length).encode() + b"\r\n" + extra + b"\r\n"
    )  # fmt: skip


async def test_a_body_past_the_limit_is_refused_by_its_length(tmp_path: Path) -> None:
    async with serving(tmp_path, http__max_body=1000) as server:
        answer = await raw(server, head(server, 1001, b"Connection: close\r\n"))
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert b'"code":"too-long"' in answer
        chunked = (
            b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nAuthorization: "
            + server.http.headers["authorization"].encode()
            + b"\r\nContent-Type: application/fhir+json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
            + b"400\r\n" + b" " * 0x400 + b"\r\n0\r\n\r\n"
        )  # fmt: skip
        assert (await raw(server, chunked)).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_does_not_come_in_time(tmp_path: Path) -> None:
    async with serving(tmp_path, http__read_timeout=0.2) as server:
        answer = await raw(server, head(server, 100, b"Connection: close\r\n"), b"{", pause=0.5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"the body did not arrive in time" in answer


async def test_a_head_that_comes_too_slowly_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, http__head_timeout=0.2) as server:
        assert (await raw(server, b"GET /health/live HTTP/1.1\r\nX-A: ", b"b", pause=0.3)).startswith(b"HTTP/1.1 408 ")
        assert (await raw(server, pause=0.3)).startswith(b"HTTP/1.1 408 ")
        assert (await server.http.get("/health/live")).status_code == 200


async def test_a_head_that_is_too_large(server: Running) -> None:
    one_piece = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Big: " + b"a" * 40_000 + b"\r\n\r\n"
    assert (await raw(server, one_piece)).startswith(b"HTTP/1.1 431 ")
    endless = [b"GET /health/live HTTP/1.1\r\nHost: x\r\n"] + [b"X-More: " + b"a" * 9000 + b"\r\n"] * 5
    assert (await raw(server, *endless)).startswith(b"HTTP/1.1 431 ")
    many = b"GET /health/live HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % n for n in range(5000)) + b"\r\n"
    assert (await raw(server, many)).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "junk", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00"]
)
async def test_what_is_no_http_is_refused(server: Running, junk: bytes) -> None:
    assert (await raw(server, junk)).startswith(b"HTTP/1.1 400 ")
    assert (await server.http.get("/health/live")).status_code == 200


@pytest.mark.parametrize("path", ["/fhir/Patient/%ff", "/%2e%2e/%2e%2e/etc/passwd", "/fhir//Patient", "//", "/fhir/%"])
async def test_odd_paths_find_nothing(server: Running, path: str) -> None:
    answer = await raw(server, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert answer[9:12] in (b"404", b"400", b"401")


async def test_too_many_connections_are_turned_away(tmp_path: Path) -> None:
    async with serving(tmp_path, http__max_connections=3) as server:
        host, port = server.url.removeprefix("http://").split(":")
        held = [await asyncio.open_connection(host, int(port)) for _ in range(4)]
        answer = await raw(server, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 503 ")
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.1)
        assert (await server.http.get("/health/live")).status_code == 200


async def test_a_slow_client_does_not_hold_up_others(server: Running) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    opened = [await asyncio.open_connection(host, int(port)) for _ in range(200)]
    for _, writer in opened:
        writer.write(head(server, 100) + b"{")
    began = time.monotonic()
    assert (await server.http.get("/health/live")).status_code == 200
    assert (await server.http.get("/fhir/metadata")).status_code == 200
    assert time.monotonic() - began < 5
    for _, writer in opened:
        writer.close()


async def test_every_answer_has_an_id_and_safe_headers(server: Running) -> None:
    seen = set()
    for path in ("/health/live", "/fhir/Patient/none", "/nothing", "/sign-in"):
        answer = await server.http.get(path)
        seen.add(answer.headers["x-request-id"])
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "unsafe-inline" not in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert "server" not in answer.headers
    assert len(seen) == 4


async def test_health_needs_nobody_and_tells_nothing(server: Running) -> None:
    async with httpx.AsyncClient(base_url=server.url) as http:
        assert (await http.get("/health/live")).json() == {"status": "live"}
        assert (await http.get("/health/ready")).json() == {"status": "ready"}


async def test_the_log_has_a_line_a_request_and_nothing_personal(server: Running) -> None:
    await server.put(patient("secret-id", "Zyxwvut"))
    await server.http.get("/fhir/Patient?name=Zyxwvut&identifier=mrn-secret-id")
    await server.http.get("/fhir/Patient/secret-id\r\nevil: 1".replace("\r\n", "%0d%0a"))
    await server.http.get("/fhir/Patient/secret-id", headers={"User-Agent": "Zyxwvut"})
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        assert (await stranger.get("/fhir/Zyxwvut")).status_code == 401
    server.app.log.flush()
    lines = [json.loads(line) for line in server.log.getvalue().splitlines()]
    assert [line["route"] for line in lines] == [
        "/fhir/{type}/{id}", "/fhir/{type}", "/fhir/{type}/{id}", "/fhir/{type}/{id}", "/fhir/{type}"
    ]  # fmt: skip
    assert lines[0]["caller"].startswith("client:")
    for personal in ("Zyxwvut", "secret-id", "evil"):
        assert personal not in server.log.getvalue()


async def test_connections_are_kept_and_may_be_pipelined(server: Running) -> None:
    one = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert (await raw(server, one * 3 + last)).count(b'{"status":"live"}') == 4


async def test_a_large_body_comes_in_whole(server: Running) -> None:
    body = patient("big", text={"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">' + "a" * 900_000 + "</div>"})  # fmt: skip
    made = await server.http.put("/fhir/Patient/big", json=body, headers={"Content-Type": FHIR})
    assert made.status_code == 201
    assert len((await server.http.get("/fhir/Patient/big")).json()["text"]["div"]) == 900_048


async def test_programs_may_have_answers_compressed(server: Running) -> None:
    plain = await server.http.get("/fhir/metadata", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for n in range(9):
        await server.put(patient(f"p{n}"))
    packed = await server.http.get("/fhir/Patient", headers={"Accept-Encoding": "gzip"})
    whole = await server.http.get("/fhir/Patient", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < len(whole.content) / 2
    assert packed.json() == whole.json()
    small = await server.http.get("/fhir/Patient/p1", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in small.headers


async def test_pages_of_listed_origins_may_call(tmp_path: Path) -> None:
    listed, other = {"Origin": "https://app.example"}, {"Origin": "https://evil.example"}
    asks = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization,if-match"}
    async with serving(tmp_path, http__cors_origins="https://app.example, https://b.example") as server:
        good = await server.http.options("/fhir/Patient/p1", headers={**listed, **asks})
        assert good.status_code == 204
        assert good.headers["access-control-allow-origin"] == "https://app.example"
        assert good.headers["access-control-allow-headers"] == "authorization,if-match"
        assert (await server.http.options("/fhir/Patient/p1", headers={**other, **asks})).status_code == 405
        assert (await server.http.options("/sign-in", headers={**listed, **asks})).status_code == 405
        read = await server.http.get("/fhir/Patient", headers=listed)
        assert read.headers["access-control-allow-origin"] == "https://app.example"
        assert "access-control-allow-credentials" not in read.headers
        assert "access-control-allow-origin" not in (await server.http.get("/fhir/Patient", headers=other)).headers


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])
def test_an_address_others_reach_needs_tls(tmp_path: Path, host: str) -> None:
    with pytest.raises(Unstartable, match="can be reached by other machines and there is no TLS certificate"):
        bind(settings(tmp_path, http__host=host, http__port=0))


def test_a_reachable_address_is_taken_when_that_is_asked_for(tmp_path: Path) -> None:
    bind(settings(tmp_path, http__host="0.0.0.0", http__port=0), insecure=True).close()


def test_a_port_that_cannot_be_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unstartable, match="there is no port 70000"):
        bind(settings(tmp_path, http__port=70000))


def test_tls_files_that_do_not_fit_are_found_before_anything_starts(tmp_path: Path) -> None:
    cert = tmp_path / "cert.pem"
    cert.write_text("no certificate")
    with pytest.raises(Unstartable, match="certificate of the HTTP listeners can't be used"):
        open_server(settings(tmp_path, http__port=0, http__tls_certificate=str(cert), http__tls_key=str(cert)))


def test_a_port_that_is_taken_says_so(tmp_path: Path) -> None:
    first = bind(settings(tmp_path, http__port=0))
    first.listen()
    with pytest.raises(Unstartable, match=r"can't listen on 127\.0\.0\.1"):
        bind(settings(tmp_path, http__port=first.getsockname()[1]))
    first.close()


async def test_trailers_are_dropped(server: Running) -> None:
    key = server.http.headers["authorization"].encode()
    sent = (
        b"POST /fhir/Patient/_search HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\nAuthorization: " + key + b"\r\n\r\n"
    )
    assert (await raw(server, sent)).startswith(b"HTTP/1.1 401 ")


async def test_the_rest_of_a_body_that_was_answered_holds_no_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, http__head_timeout=0.3) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 404 ")
        ended = asyncio.create_task(_ended(reader))
        for _ in range(50):
            if ended.done():
                break
            writer.write(b"a")
            await asyncio.sleep(0.1)
        assert ended.done()
        writer.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    try:
        while await reader.read(65536):
            pass
    except ConnectionError:
        pass


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """One whole answer, however many pieces it comes in."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    assert length, head
    return head + await reader.readexactly(int(length[1]))


async def test_a_connection_outlives_a_body_that_came_after_its_answer(tmp_path: Path) -> None:
    async with serving(tmp_path, http__head_timeout=0.3) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n")
        assert (await _answer(reader)).startswith(b"HTTP/1.1 404 ")
        writer.write(b"aaaa")
        await asyncio.sleep(0.5)
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.read(65536)).startswith(b"HTTP/1.1 200 ")
        writer.close()


async def test_who_takes_nothing_of_an_answer_is_cut_off(tmp_path: Path) -> None:
    async with serving(tmp_path, http__write_timeout=0.2) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.socket() as lazy:
            lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            lazy.connect((host, int(port)))
            lazy.sendall(b"GET /fhir/metadata HTTP/1.1\r\nHost: x\r\n\r\n" * 8)
            await asyncio.sleep(1.5)
            lazy.settimeout(5)
            taken = await asyncio.to_thread(_drained, lazy)
        whole = len((await server.http.get("/fhir/metadata")).content)
        assert taken < 8 * whole


def _drained(sock: socket.socket) -> int:
    taken = 0
    try:
        while chunk := sock.recv(1 << 20):
            taken += len(chunk)
    except OSError:
        pass
    return taken


@pytest.mark.parametrize("path", ["/sign-in", "/first-run/x", "/fhir/Patient/_search", "/messages/x/reveal"])
async def test_forms_are_small(server: Running, path: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Origin": server.url}
    answer = await server.http.post(path, content=b"login=" + b"%41" * 50_000, headers=headers)
    assert answer.status_code in (403, 413)
    async with httpx.AsyncClient(base_url=server.url) as stranger:
        answer = await stranger.post(path, content=b"login=" + b"%41" * 50_000, headers=headers)
        assert answer.status_code in (401, 413)


async def test_http_1_1_asks_for_a_host(server: Running) -> None:
    answer = await raw(server, b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"the Host header is missing" in answer
    old = await raw(server, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert b" 200 OK" in old.splitlines()[0]


async def test_two_credentials_are_none(server: Running) -> None:
    key = server.http.headers["authorization"].encode()
    start = b"GET /fhir/Patient HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    other = server.key("patient/*.rs", "a")["Authorization"].encode()
    both = b"Authorization: " + key + b"\r\nAuthorization: " + other + b"\r\n\r\n"
    assert (await raw(server, start + both)).startswith(b"HTTP/1.1 400 ")
    assert (await raw(server, start + b"Host: y\r\nAuthorization: " + key + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_what_the_http_server_reports_is_a_line_of_the_log(
    server: Running, capfd: pytest.CaptureFixture[str]
) -> None:
    await raw(server, b"\x00 secret\r\n\r\n")
    server.app.log.flush()
    assert [json.loads(line)["event"] for line in server.log.getvalue().splitlines()] == ["server"]
    assert "secret" not in server.log.getvalue()
    assert capfd.readouterr().err == ""
