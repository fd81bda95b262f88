"""The gateway on a whole server: what goes on and what comes back, whole and only as far as it may."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from suture.store import vault
from tests.connectors.site import Got, Say, Site
from tests.server.gate import ALL, echo, gate


async def test_a_request_goes_on_and_the_answer_comes_back(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": f"{site.url}/api"}) as at:
        key = at.key("orders")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            body = b"abc" if method in ("POST", "PUT", "PATCH") else b""
            answer = await at.http.request(method, "/gateway/orders/v1/a%20b?x=1&y=%2F", headers=key, content=body)
            assert answer.status_code == 200
            assert answer.json() == {"method": method, "target": "/api/v1/a%20b?x=1&y=%2F", "body": body.decode()}
        answer = await at.http.head("/gateway/orders/v1", headers=key)
        assert (answer.status_code, answer.content, site.got[-1].method) == (200, b"", "HEAD")
        assert int(answer.headers["content-length"]) > 10
        assert at.trail() == [
            ("key", "orders", m, 200) for m in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
        ]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("", "/api"),
        ("/", "/api"),
        ("/a", "/api/a"),
        ("/a/", "/api/a/"),
        ("/?q=1", "/api?q=1"),
        ("/a:b@c;d=1", "/api/a:b@c;d=1"),
    ],
)
async def test_the_path_below_the_route_is_the_path_below_the_base(tmp_path: Path, path: str, target: str) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": f"{site.url}/api"}) as at:
        answer = await at.http.get(f"/gateway/orders{path}", headers=at.key("orders"))
        assert answer.json()["target"] == target


async def test_paths_are_opened_stripped_and_rewritten(tmp_path: Path) -> None:
    route = "to: lab\npaths: [/v1/orders, /v1/results/open]\nstrip: /v1\nprepend: /2026"
    async with Site(echo) as site, gate(tmp_path, {"orders": route}, {"lab": site.url}) as at:
        key = at.key("orders")
        answer = await at.http.get("/gateway/orders/v1/orders/7", headers=key)
        assert answer.json()["target"] == "/2026/orders/7"
        for path in ("/v1/ordersx", "/v1", "/v1/results", "/v1/results/closed", "/orders", "/v2/orders", "/V1/orders"):
            answer = await at.http.get(f"/gateway/orders{path}", headers=key)
            assert (answer.status_code, answer.json()["text"]) == (404, "nothing at this address")
    assert len(site.got) == 1


async def test_headers_are_set_and_removed_and_what_is_ours_stays(tmp_path: Path) -> None:
    route = (
        "to: lab\nmethods: [POST]\ncaller_header: X-Consumer\n"
        "request: {set: {X-Practice: '12', X-Over: gateway}, remove: [X-Secret]}\n"
        "response: {set: {X-Served-By: us}, remove: [X-Internal]}"
    )
    said = Say(200, {}, {"x-internal": "1", "x-served-by": "them", "set-cookie": "suture_session=evil", "x-kept": "1",
        "content-security-policy": "script-src *", "clear-site-data": "*", "connection": "x-hop", "x-hop": "1",
        "ratelimit": "x", "content-type": "text/html"})  # fmt: skip
    async with Site(lambda got: said) as site, gate(tmp_path, {"orders": route}, {"lab": site.url}) as at:
        sent = {"X-Over": "caller", "X-Secret": "1", "X-Kept": "1", "Cookie": "suture_session=abc", "X-Consumer": "root",
            "X-Forwarded-For": "10.0.0.1", "X-Forwarded-Host": "evil", "Forwarded": "for=1", "Via": "1.1 x",
            "X-HTTP-Method-Override": "DELETE", "Connection": "close, X-Mine", "X-Mine": "1", "TE": "trailers",
            "X-Suture-Caller": "x", "X-Original-URL": "/admin"}  # fmt: skip
        answer = await at.http.post("/gateway/orders/x", headers={**at.key("orders"), **sent}, content=b"{}")
        got = site.got[0].headers
    expected = {"x-practice": "12", "x-over": "gateway", "x-kept": "1", "x-consumer": "k0", "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "http", "via": "1.1 suture", "content-length": "2", "host": f"127.0.0.1:{site.port}"}  # fmt: skip
    assert {name: got.get(name) for name in expected} == expected
    gone = ("x-secret", "cookie", "x-api-key", "authorization", "forwarded", "x-forwarded-host", "x-mine", "te",
        "x-http-method-override", "x-suture-caller", "x-original-url", "connection", "transfer-encoding")  # fmt: skip
    assert [name for name in gone if name in got] == []
    assert (answer.headers["x-served-by"], answer.headers["x-kept"]) == ("us", "1")
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox; frame-ancestors 'none'"
    assert [
        n for n in ("x-internal", "set-cookie", "clear-site-data", "x-hop", "ratelimit") if n in answer.headers
    ] == []


async def test_the_connection_s_own_credentials_go_on_not_the_caller_s(tmp_path: Path) -> None:
    async with (
        Site(echo) as site,
        gate(
            tmp_path, {"orders": ALL}, {"lab": f"{site.url}\nheaders: {{Authorization: Bearer ours, X-Tenant: '7'}}"}
        ) as at,
    ):
        key = at.key("orders")["X-API-Key"]
        sent = {"Authorization": f"Bearer {key}", "X-Tenant": "8"}
        answer = await at.http.get("/gateway/orders/x", headers=sent)
        assert answer.status_code == 200
    got = site.got[0].headers
    assert (got["authorization"], got["x-tenant"]) == ("Bearer ours", "7")
    assert key not in str(got)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 3_000_000])
@pytest.mark.parametrize("known", [True, False])
async def test_bodies_pass_whole_both_ways(tmp_path: Path, size: int, known: bool) -> None:
    body = os.urandom(size)
    async with Upstream() as up, gate(tmp_path, {"orders": ALL}, {"lab": up.url}) as at:

        async def parts() -> object:
            for start in range(0, len(body), 50_000):
                yield body[start : start + 50_000]

        answer = await at.http.post(
            "/gateway/orders/echo",
            headers=at.key("orders"),
            content=body if known else parts(),  # type: ignore[arg-type]
        )
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers.get("content-type") == ("application/octet-stream" if size else None)


async def test_an_answer_that_begins_before_the_request_has_ended_loses_nothing(tmp_path: Path) -> None:
    pieces = [os.urandom(70_000) for _ in range(30)]

    async def parts() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece
            await asyncio.sleep(0)

    async with Upstream() as up, gate(tmp_path, {"orders": ALL}, {"lab": up.url}) as at:
        answer = await at.http.post("/gateway/orders/live", headers=at.key("orders"), content=parts())
    assert answer.content == b"".join(pieces)


async def test_a_token_the_upstream_refuses_is_bought_anew_once(tmp_path: Path) -> None:
    sold: list[str] = []

    def answer(got: Got) -> Say:
        if got.target == "/token":
            sold.append(f"t{len(sold)}")
            return Say(200, {"access_token": sold[-1], "expires_in": 3600})
        return Say(200 if got.headers["authorization"] == "Bearer t1" else 401, {})

    async with Site(answer) as site:
        auth = f"{{kind: client-credentials, client_id: us, secret: secret:lab, token_url: {site.url}/token}}"
        async with gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": f"{site.url}\nauth: {auth}"}) as at:
            at.server.app.database.write_now(lambda tx: vault.put(tx, "lab", "s3cret", site.url))
            key = at.key("orders")
            answers = [await at.http.post("/gateway/orders/x", headers=key, content=b"{}") for _ in range(3)]
            assert [a.status_code for a in answers] == [200] * 3
    assert sold == ["t0", "t1"]


async def test_a_flood_past_a_limit_writes_few_rows(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL + "\neach: {day: 2}"}, {"lab": site.url}) as at:
        key = at.key("orders")
        for _ in range(40):
            await at.http.get("/gateway/orders/x", headers=key)
        rows = at.trail()
        assert rows[:2] == [("key", "orders", "GET", 200)] * 2
        assert 1 <= len(rows[2:]) <= 3
        assert {row[3] for row in rows[2:]} == {429}


class Upstream:
    """An upstream that sends back what it gets, while it gets it; /chunked in chunks, /cut half of it, /drip slowly."""

    async def __aenter__(self) -> Upstream:
        self.got: list[tuple[bytes, bytes]] = []
        self.closed = asyncio.Event()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=1 << 20)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b" /live " in head:
                    await self._live(reader, writer)
                    continue
                body = await self._body(head.lower(), reader)
                self.got.append((head, body))
                await self._say(head.split(b" ")[1], body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.set()
        finally:
            writer.close()

    async def _live(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """The answer begins before the request has ended, and each part comes back when it is here."""
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while size := int(await reader.readline(), 16):
            part = await reader.readexactly(size)
            await reader.readline()
            writer.write(b"%x\r\n%s\r\n" % (size, part))
            await writer.drain()
        await reader.readline()
        writer.write(b"0\r\n\r\n")

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        if b"transfer-encoding: chunked" in head:
            body = b""
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
            return body
        length = head.partition(b"content-length: ")[2].split(b"\r\n")[0]
        return await reader.readexactly(int(length)) if length else b""

    async def _say(self, path: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        if path == b"/echo":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        elif path == b"/chunked":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            for _ in range(5):
                writer.write(b"5\r\nhello\r\n")
                await writer.drain()
            writer.write(b"0\r\n\r\n")
        elif path == b"/until-close":
            writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
            await writer.drain()
            writer.close()
        elif path == b"/cut":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 500_000)
            await writer.drain()
            writer.close()
        elif path == b"/cut-chunked":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n")
            await writer.drain()
            writer.close()
        elif path == b"/endless":
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
            while True:
                writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                await writer.drain()
        else:
            writer.write(RAW[path])
        await writer.drain()


RAW = {
    b"/no-http": b"SSH-2.0-x\r\n\r\n",
    b"/two-lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    b"/length-and-chunks": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"/odd-coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"/upgrade": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    b"/big-head": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 200_000 + b"\r\ncontent-length: 0\r\n\r\n",
    b"/odd-status": b"HTTP/1.1 999 X\r\ncontent-length: 0\r\n\r\n",
    b"/early": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
    b"/twice": b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison",
    b"/folded": b"HTTP/1.1 200 OK\r\nx-a: 1\r\n x-b: 2\r\ncontent-length: 2\r\n\r\nok",
    b"/bare": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    b"/null": b"HTTP/1.1 200 OK\r\nx-a: a\x00b\r\ncontent-length: 2\r\n\r\nok",
}


@pytest.mark.parametrize("path", ["/chunked", "/until-close", "/early"])
async def test_answers_in_every_framing_come_whole(tmp_path: Path, path: str) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL}, {"lab": up.url}) as at:
        key = at.key("orders")
        for _ in range(3):
            answer = await at.http.get(f"/gateway/orders{path}", headers=key)
            assert (answer.status_code, answer.text) == (
                200,
                {"/chunked": "hello" * 5, "/until-close": "hello", "/early": "ok"}[path],
            )
        assert "link" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/no-http",
        "/two-lengths",
        "/length-and-chunks",
        "/odd-coding",
        "/upgrade",
        "/big-head",
        "/odd-status",
        "/bare",
        "/null",
    ],
)
async def test_answers_that_could_be_read_in_two_ways_are_not_passed_on(tmp_path: Path, path: str) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": up.url}) as at:
        answer = await at.http.get(f"/gateway/orders{path}", headers=at.key("orders"))
        assert (answer.status_code, answer.json()["error"][:4]) == (502, "send")
        assert at.trail() == [("key", "orders", "GET", 502)]


async def test_what_follows_an_answer_is_never_the_next_caller_s(tmp_path: Path) -> None:
    """Response smuggling: a second answer on the line is thrown away with the line."""
    async with Upstream() as up, gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": up.url}) as at:
        key = at.key("orders")
        for _ in range(5):
            first = await at.http.get("/gateway/orders/twice", headers=key)
            second = await at.http.post("/gateway/orders/echo", headers=key, content=b"mine")
            assert first.status_code in (200, 502)
            assert "poison" not in first.text
            assert second.text == "mine"


@pytest.mark.parametrize("path", ["/cut", "/cut-chunked"])
async def test_an_answer_that_breaks_off_never_looks_whole(tmp_path: Path, path: str) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": up.url}) as at:
        with pytest.raises(httpx.RemoteProtocolError):
            await at.http.get(f"/gateway/orders{path}", headers=at.key("orders"))


async def test_an_answer_without_end_is_cut_at_the_limit(tmp_path: Path) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL + "\nmax_answer: 1MiB"}, {"lab": up.url}) as at:
        with pytest.raises(httpx.RemoteProtocolError):
            await at.http.get("/gateway/orders/endless", headers=at.key("orders"))
        await asyncio.wait_for(up.closed.wait(), 5)
        assert (await at.http.get("/gateway/orders/chunked", headers=at.key("orders"))).status_code == 200


async def test_the_upstream_is_let_go_when_the_caller_hangs_up(tmp_path: Path) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL}, {"lab": up.url}) as at:
        async with at.http.stream("GET", "/gateway/orders/endless", headers=at.key("orders")) as answer:
            async for _ in answer.aiter_raw():
                break
        await asyncio.wait_for(up.closed.wait(), 5)


async def test_packed_answers_pass_as_they_are(tmp_path: Path) -> None:
    packed = gzip.compress(b"hello" * 1000)
    async with (
        Site(lambda got: Say(200, packed, {"content-encoding": "gzip"})) as site,
        gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at,
    ):
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"))
        assert (answer.text, answer.headers["content-length"]) == ("hello" * 1000, str(len(packed)))


async def test_bodies_past_the_limit_reach_nobody(tmp_path: Path) -> None:
    async with Upstream() as up, gate(tmp_path, {"orders": ALL + "\nmax_body: 100KiB"}, {"lab": up.url}) as at:
        key = at.key("orders")
        answer = await at.http.post("/gateway/orders/echo", headers=key, content=b"x" * 102_401)
        assert (answer.status_code, answer.json()["error"]) == (413, "too-large")

        async def parts() -> object:
            for _ in range(30):
                yield b"x" * 10_000

        answer = await at.http.post("/gateway/orders/echo", headers=key, content=parts())  # type: ignore[arg-type]
        assert (answer.status_code, answer.json()["error"]) == (413, "too-large")
    assert up.got == []
