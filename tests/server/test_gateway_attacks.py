"""Attacks on the gateway over raw sockets: smuggling, doubled headers, climbing paths, slow senders, floods, certificates."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes

from tests import certificates
from tests.connectors.site import Got, Say, Site
from tests.server.gate import Gate, gate

ALL = "to: lab\nmethods: [GET, POST, PUT]\nretries: 0"


def echo(got: Got) -> Say:
    return Say(200, {"target": got.target, "body": got.body.decode("latin-1")}, {"connection": "keep-alive"})


def told(at: Gate, key: dict[str, str], head: str, body: bytes = b"") -> bytes:
    lines = [head.splitlines()[0], "Host: x", f"X-API-Key: {key['X-API-Key']}", *head.splitlines()[1:], "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


INNER = b"GET /gateway/orders/stolen HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLED = [
    ("POST /gateway/orders/x HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked", b"0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 60", b"0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nContent-Length: 5\nContent-Length: 6", b"hello!" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: xchunked", b"0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: chunked, identity", b"0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding : chunked", b"0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: chunked", b"5;\nhello\r\n0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: chunked", b"-5\r\nhello\r\n0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nTransfer-Encoding: chunked", b"0x5\r\nhello\r\n0\r\n\r\n" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nContent-Length: +5", b"hello" + INNER),
    ("POST /gateway/orders/x HTTP/1.1\nContent-Length: 5, 5", b"hello" + INNER),
    ("GET /gateway/orders/x HTTP/1.1\nX: a\n b", b""),
    ("GET /gateway/orders/x HTTP/1.1\nX-API-Key: gk_other", b""),
    ("GET /gateway/orders/x HTTP/1.1\nHost: y", b""),
    ("GET /gateway/orders/x HTTP/1.1\nX\x00: a", b""),
    ("GET /gateway/orders/a b HTTP/1.1", b""),
    ("GET http://evil.example/gateway/orders/x HTTP/1.1\nHost: evil.example", b""),
    ("CONNECT evil.example:443 HTTP/1.1", b""),
]


@pytest.mark.parametrize(("head", "body"), SMUGGLED)
async def test_no_second_request_is_smuggled_in(tmp_path: Path, head: str, body: bytes) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        answer = await at.raw(told(at, at.key("orders"), f"{head}\nConnection: close", body))
        assert answer[:12] in (b"HTTP/1.1 400", b"HTTP/1.1 405", b"HTTP/1.1 404")
        assert b"stolen" not in answer
    assert [got.target for got in site.got] == []


async def test_a_body_that_looks_like_a_request_stays_a_body(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        key = at.key("orders")
        chunked = b"%x\r\n%s\r\n0\r\nX-API-Key: gk_trailer\r\n\r\n" % (len(INNER), INNER)
        for head, body in (
            (f"Content-Length: {len(INNER)}", INNER),
            ("Transfer-Encoding: chunked", chunked),
            ("Transfer-Encoding: chunked\nExpect: 100-continue", chunked),
        ):
            answer = await at.raw(told(at, key, f"POST /gateway/orders/x HTTP/1.1\n{head}\nConnection: close", body))
            assert b"200 OK" in answer
    assert [got.target for got in site.got] == ["/x"] * 3
    assert {got.body for got in site.got} == {INNER}
    assert all("expect" not in got.headers and "gk_trailer" not in str(got.headers) for got in site.got)


CLIMBING = ["/../admin", "/..%2fadmin", "/%2e%2e/admin", "/%2e%2e%2fadmin", "/..%5cadmin", "/a/..;/admin", "/%252e%252e/admin",
    "/.%2e/admin", "/a//admin", "/./a", "/a%00", "/a%0d%0aX:1", "/..\\admin", "/%c0%ae%c0%ae/admin/..", "/a/%2e", "/a/..%252f"]  # fmt: skip


@pytest.mark.parametrize("path", CLIMBING)
async def test_no_path_climbs_out_of_the_base(tmp_path: Path, path: str) -> None:
    async with (
        Site(echo) as site,
        gate(tmp_path, {"orders": ALL + "\nstrip: /v1"}, {"lab": f"{site.url}/tenants/7"}) as at,
    ):
        key = at.key("orders")
        for below in (path, "/v1" + path):
            answer = await at.raw(told(at, key, f"GET /gateway/orders{below} HTTP/1.1\nConnection: close"))
            assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 404")), answer
    assert site.got == []


async def test_who_sends_slowly_is_cut_off_and_holds_up_nobody(tmp_path: Path) -> None:
    values = {"http__read_timeout": 0.3, "http__head_timeout": 0.3}
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}, **values) as at:
        key = at.key("orders")
        begun = told(at, key, "POST /gateway/orders/x HTTP/1.1\nContent-Length: 200000", b"x" * 1000)
        slow = [asyncio.create_task(at.raw(begun)) for _ in range(30)]
        heads = [asyncio.create_task(at.raw(begun[:30])) for _ in range(30)]
        quick = await asyncio.gather(*(at.http.get("/gateway/orders/y", headers=key) for _ in range(20)))
        assert [answer.status_code for answer in quick] == [200] * 20
        assert (await at.http.get("/health/live")).status_code == 200
        assert {(await task)[:12] for task in slow} == {b"HTTP/1.1 408"}
        assert {(await task)[:12] for task in heads} == {b"HTTP/1.1 408"}
    assert {got.target for got in site.got} == {"/y"}


async def test_a_dripping_body_is_slower_than_allowed(tmp_path: Path) -> None:
    """A byte now and then stays below the time for one part; the whole must come at SLOWEST bytes a second."""
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}, http__read_timeout=0.4) as at:
        host, _, port = at.server.url.partition("://")[2].partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(told(at, at.key("orders"), "POST /gateway/orders/x HTTP/1.1\nContent-Length: 100000"))
        answered = asyncio.create_task(reader.read(12))
        for _ in range(50):
            writer.write(b"x")
            await asyncio.wait({answered}, timeout=0.1)
            if answered.done():
                break
        assert await answered == b"HTTP/1.1 408"
        writer.close()


async def test_a_flood_of_strangers_writes_few_rows(tmp_path: Path) -> None:
    async with gate(tmp_path, {"orders": ALL}, {"lab": "http://127.0.0.1:9"}) as at:
        for n in range(60):
            assert (await at.http.get("/gateway/orders/x", headers={"X-API-Key": f"gk_{n}"})).status_code == 401
        assert 1 <= len(at.trail()) <= 3
        assert set(at.trail()) == {("anonymous", "", "GET", 401)}


async def test_what_a_caller_sends_reaches_neither_log_nor_trail(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        key = at.key("orders")
        headers = {**key, "X-Name": "Zquackson", "User-Agent": "Zquackson"}
        await at.http.post("/gateway/orders/Zquackson?q=Zquackson", headers=headers, content=b"Zquackson")
        await at.http.post("/gateway/Zquackson/Zquackson", headers=headers, content=b"Zquackson")
        rows = at.server.app.database.read.all("SELECT * FROM audit") + at.server.app.database.read.all(
            "SELECT * FROM name"
        )
        assert "Zquackson" not in at.server.log.getvalue() + str(rows)
        assert key["X-API-Key"] not in at.server.log.getvalue() + str(rows)


async def test_an_upstream_s_page_runs_nothing_under_our_address(tmp_path: Path) -> None:
    evil = Say(200, b"<script>alert(1)</script>", {"content-type": "text/html", "set-cookie": "suture_session=x; Path=/",
        "access-control-allow-credentials": "true", "location": "https://evil.example", "refresh": "0;url=https://evil.example"})  # fmt: skip
    async with Site(lambda got: evil) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"))
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert {"set-cookie", "access-control-allow-credentials", "refresh"} & set(answer.headers) == set()


async def test_a_session_is_no_key(tmp_path: Path) -> None:
    """Another site's page can send a browser's cookie, not a key."""
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        answer = await at.http.get(
            "/gateway/orders/x", headers={"Cookie": "suture_session=abc", "Sec-Fetch-Site": "same-origin"}
        )
        assert answer.status_code == 401
    assert site.got == []


async def test_a_certificate_opens_the_route_that_names_it(tmp_path: Path) -> None:
    authority = certificates.issue("authority")
    known, named, other = (certificates.issue(name, authority) for name in ("known", "named", "other"))
    strange = certificates.issue("named")  # the right subject, signed by itself
    own, key = certificates.issue("localhost", authority).write(tmp_path, "own")
    ca, _ = authority.write(tmp_path, "ca")
    mark = known.certificate.fingerprint(hashes.SHA256()).hex(":")
    route = f"to: lab\nkeys: false\ncaller_header: X-Who\ncertificates: [{{name: first, fingerprint: '{mark}'}}, {{name: second, subject: CN=named}}]"
    values = {"http__tls_certificate": str(own), "http__tls_key": str(key), "http__tls_client_ca": str(ca)}
    async with (
        Site(echo) as site,
        gate(tmp_path, {"orders": route, "plain": "to: lab"}, {"lab": site.url}, **values) as at,
    ):

        async def ask(pair: certificates.Pair | None, path: str = "/gateway/orders/x", **headers: str) -> int:
            trust = ssl.create_default_context(cafile=str(ca))
            if pair is not None:
                trust.load_cert_chain(*pair.write(tmp_path, "shown"))
            async with httpx.AsyncClient(verify=trust, base_url=at.server.url) as http:
                return (await http.get(path, headers=headers)).status_code

        assert [await ask(pair) for pair in (known, named, other, None)] == [200, 200, 401, 401]
        with pytest.raises(httpx.HTTPError):
            await ask(strange)
        assert await ask(known, "/gateway/plain/x") == 401
        assert await ask(known, Authorization="Bearer x") == 401
        assert at.trail()[:2] == [("certificate", "orders", "GET", 200)] * 2
    assert [got.headers["x-who"] for got in site.got] == ["first", "second"]
