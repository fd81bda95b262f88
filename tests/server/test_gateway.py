"""The gateway on a whole server: who may call, what goes on and what comes back, limits, failing upstreams."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from suture.services.gateway.callers import MARK
from suture.store import gateway_keys, vault
from tests.connectors.site import Got, Say, Site
from tests.server.gate import gate

ALL = "to: lab\nmethods: [GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE]"


def echo(got: Got) -> Say:
    return Say(200, {"method": got.method, "target": got.target, "body": got.body.decode("latin-1")})


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


# --- who may call


async def test_a_key_opens_its_routes_only_and_everything_wrong_looks_the_same(tmp_path: Path) -> None:
    routes = {"orders": ALL, "results": ALL, "closed": ALL + "\nkeys: false\nscope: system/Patient.r"}
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:
        orders, database = at.key("orders", "closed"), at.server.app.database
        expired, revoked = at.key("orders", expires=1), at.key("orders")
        database.write_now(lambda tx: gateway_keys.revoke(tx, "k2"))
        wrong = [{}, expired, revoked, {"X-API-Key": MARK + "x" * 43}, {"X-API-Key": "x"}, {"X-API-Key": ""}, {"Authorization": "Bearer nothing"},
            {"Authorization": f"Basic {orders['X-API-Key']}"}, {"Authorization": orders["X-API-Key"]}, {"Authorization": "Bearer"},
            {**orders, "Authorization": "Bearer x"}, {"Cookie": "suture_session=x"}]  # fmt: skip
        seen = set()
        for headers in wrong:
            for route in ("orders", "nothing-here", "closed"):
                answer = await at.http.get(f"/gateway/{route}/x", headers=headers)
                seen.add((answer.status_code, answer.text, answer.headers["www-authenticate"]))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 401
        seen = set()
        for route in ("results", "nothing-here", "closed", "orders2", "%2e%2e", "ORDERS"):
            answer = await at.http.get(f"/gateway/{route}/x", headers=orders)
            seen.add((answer.status_code, answer.text))
        assert len(seen) == 1
        assert next(iter(seen))[0] == 404
        assert (await at.http.get("/gateway/orders/x", headers=orders)).status_code == 200
    assert len(site.got) == 1


async def test_a_rotated_key_works_beside_the_old_one_for_a_while(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        old, database = at.key("orders"), at.server.app.database
        database.write_now(lambda tx: gateway_keys.rotate(tx, "k0", MARK + "new", 3_600_000_000))
        new = {"X-API-Key": MARK + "new"}
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (old, new)] == [
            200,
            200,
        ]
        database.write_now(lambda tx: gateway_keys.rotate(tx, "k0", MARK + "newer", 0))
        newer = {"X-API-Key": MARK + "newer"}
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (old, new, newer)] == [
            401,
            401,
            200,
        ]
        database.write_now(lambda tx: gateway_keys.revoke(tx, "k0"))
        assert (await at.http.get("/gateway/orders/x", headers=newer)).status_code == 401


async def test_only_hashes_of_keys_are_kept(tmp_path: Path) -> None:
    async with gate(tmp_path, {}, {}) as at:
        value = at.key("orders")["X-API-Key"]
        rows = at.server.app.database.read.all("SELECT * FROM gateway_key")
    assert value not in str(rows)
    assert value.removeprefix(MARK) not in at.server.log.getvalue()


@pytest.mark.parametrize("url", ["/gateway/orders/x?api_key={}", "/gateway/orders/x?a={}", "/gateway/orders/{}", "/gateway/orders/x?A=%67k_x",
    "/gateway/orders/x?access_token=abc", "/gateway/orders/x?apikey=1", "/gateway/orders/x?X-Api-Key=1", "/gateway/{}/x"])  # fmt: skip
async def test_a_key_in_the_url_is_refused_whoever_sends_it(tmp_path: Path, url: str) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        key = at.key("orders")
        answer = await at.http.get(url.format(key["X-API-Key"]), headers=key)
        assert (answer.status_code, answer.json()["text"]) == (400, "a key stands in the URL")
        assert key["X-API-Key"] not in at.server.log.getvalue()
    assert site.got == []


async def test_a_token_opens_a_route_with_the_scope_it_asks_for(tmp_path: Path) -> None:
    routes = {"orders": "to: lab\nscope: system/ServiceRequest.r system/Patient.r", "plain": "to: lab"}
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:
        right = at.server.key("system/ServiceRequest.cruds system/Patient.rs")
        every = at.server.key("system/*.rs")
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in (right, every)] == [
            200,
            200,
        ]
        less = [
            at.server.key("system/ServiceRequest.rs"),
            at.server.key("user/*.rs"),
            at.server.key("system/*.cud"),
            at.server.key("patient/*.rs", "p1"),
        ]
        assert [(await at.http.get("/gateway/orders/x", headers=h)).status_code for h in less] == [404] * 4
        assert (await at.http.get("/gateway/plain/x", headers=every)).status_code == 404
    assert len(site.got) == 2


async def test_methods_that_are_not_named_are_not_passed_on(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": "to: lab"}, {"lab": site.url}) as at:
        key = at.key("orders")
        answer = await at.http.post("/gateway/orders/x", headers=key)
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        assert (await at.http.request("TRACE", "/gateway/orders/x", headers=key)).status_code == 405
    assert site.got == []


# --- our own FHIR API


async def test_a_route_leads_to_our_own_chart_within_the_key_s_scopes(tmp_path: Path) -> None:
    route = "to: local\nmethods: [GET, POST]\neach: {minute: 20}"
    async with gate(tmp_path, {"chart": route}, {}) as at:
        await at.server.put({"resourceType": "Patient", "id": "p1", "gender": "female"})
        await at.server.put(
            {
                "resourceType": "Observation",
                "id": "o1",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/p1"},
            }
        )
        key = at.key("chart", scopes=["system/Patient.rs"])
        answer = await at.http.get("/gateway/chart/Patient/p1", headers=key)
        assert (answer.status_code, answer.json()["gender"]) == (200, "female")
        assert answer.headers["ratelimit"] == '"minute";r=19;t=60'
        answer = await at.http.get("/gateway/chart/Patient?gender=female", headers=key)
        assert [entry["resource"]["id"] for entry in answer.json()["entry"]] == ["p1"]
        answer = await at.http.get("/gateway/chart/Observation/o1", headers=key)
        assert (answer.status_code, answer.json()["resourceType"]) == (403, "OperationOutcome")
        answer = await at.http.post("/gateway/chart/Patient", headers=key, json={"resourceType": "Patient"})
        assert answer.status_code == 403
        nothing = at.key("chart")
        assert (await at.http.get("/gateway/chart/Patient/p1", headers=nothing)).status_code == 403
        patient = at.key("chart", scopes=["patient/*.rs"], patient="p1")
        assert (await at.http.get("/gateway/chart/Observation/o1", headers=patient)).status_code == 200
        for path in ("/../api/messages", "/..%2fapi%2fmessages", "/metrics", "/.well-known/x/../../api"):
            answer = await at.http.get(f"/gateway/chart{path}", headers=key)
            assert answer.status_code in (400, 403, 404)


# --- limits


async def test_a_limit_answers_429_and_says_when_to_come_again(tmp_path: Path) -> None:
    async with Site(echo) as site, gate(tmp_path, {"orders": ALL + "\neach: {minute: 3}"}, {"lab": site.url}) as at:
        key, other = at.key("orders"), at.key("orders")
        answers = [await at.http.get("/gateway/orders/x", headers=key) for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert [a.headers["ratelimit"] for a in answers[:3]] == [f'"minute";r={n};t=60' for n in (2, 1, 0)] or answers[
            2
        ].headers["ratelimit"].startswith('"minute";r=0')
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=3;w=60'
        assert 1 <= int(answers[3].headers["retry-after"]) <= 66
        assert answers[3].json()["error"] == "too-many-requests"
        assert (await at.http.get("/gateway/orders/x", headers=other)).status_code == 200
    assert len(site.got) == 4


async def test_limits_of_plan_key_and_route_hold_together(tmp_path: Path) -> None:
    routes = {
        "orders": ALL + "\nlimits: {day: 8}\nplan: bronze",
        "bronze": "suture: plan/1\nid: bronze\nlimits: {day: 5}\n",
        "gold": "suture: plan/1\nid: gold\nlimits: {day: 50}\n",
    }
    async with Site(echo) as site, gate(tmp_path, routes, {"lab": site.url}) as at:

        async def let_in(key: dict[str, str]) -> int:
            return sum([(await at.http.get("/gateway/orders/x", headers=key)).status_code == 200 for _ in range(9)])

        assert await let_in(at.key("orders", limits="day=2")) == 2  # its own
        assert await let_in(at.key("orders")) == 5  # the route's plan
        assert await let_in(at.key("orders", plan="gold")) == 1  # what the route has left


async def test_the_chart_has_a_limit_too(tmp_path: Path) -> None:
    async with gate(tmp_path, {}, {}, gateway__fhir_limits="minute=4") as at:
        other = at.server.key("system/*.rs")
        answers = [await at.server.http.get("/fhir/Patient") for _ in range(6)]
        assert [a.status_code for a in answers] == [200] * 4 + [429] * 2
        assert answers[4].json()["issue"][0]["code"] == "throttled"
        assert "retry-after" in answers[4].headers
        assert (await at.server.http.get("/fhir/Patient", headers=other)).status_code == 200
        assert (await at.server.http.get("/fhir/metadata")).status_code == 200


async def test_requests_at_once_are_limited_and_let_go(tmp_path: Path) -> None:
    going, full = asyncio.Event(), asyncio.Event()

    async def slow(got: Got) -> Say:
        if len(site.got) == 2:
            full.set()
        await going.wait()
        return Say(200, {})

    async with (
        Site(slow) as site,
        gate(tmp_path, {"orders": ALL + "\neach: {concurrency: 2}"}, {"lab": site.url}) as at,
    ):
        key = at.key("orders")
        two = [asyncio.create_task(at.http.get("/gateway/orders/x", headers=key)) for _ in range(2)]
        await asyncio.wait_for(full.wait(), 5)
        assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 429
        going.set()
        assert [a.status_code for a in await asyncio.gather(*two)] == [200, 200]
        await asyncio.sleep(0.06)
        assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 200


# --- upstreams that fail


class Failing:
    """Answers what it is told, one after the other, then 200."""

    def __init__(self, *said: Say) -> None:
        self.said = list(said)

    def __call__(self, got: Got) -> Say:
        return self.said.pop(0) if self.said else Say(200, {"ok": True})


@pytest.mark.parametrize("said", [Say(503), Say(502), Say(504), Say(hang_up=True)])
@pytest.mark.parametrize(
    ("method", "keyed", "tries"),
    [
        ("GET", False, 3),
        ("PUT", False, 3),
        ("DELETE", False, 3),
        ("POST", False, 1),
        ("POST", True, 3),
        ("PATCH", False, 1),
    ],
)
async def test_only_what_may_come_twice_is_tried_again(
    tmp_path: Path, said: Say, method: str, keyed: bool, tries: int
) -> None:
    async with Site(Failing(said, said)) as site, gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at:
        headers = {**at.key("orders"), **({"Idempotency-Key": "1"} if keyed else {})}
        answer = await at.http.request(
            method, "/gateway/orders/x", headers=headers, content=b"{}" if method != "GET" else b""
        )
        assert answer.status_code == (200 if tries == 3 else 502 if said.hang_up else said.status)
    assert len(site.got) == tries
    assert {got.body for got in site.got} == {b"{}" if method != "GET" else b""}


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 409, 429, 500])
async def test_other_answers_pass_as_they_are(tmp_path: Path, status: int) -> None:
    async with (
        Site(Failing(Say(status, {"a": 1}, {"location": "https://elsewhere.example/"}))) as site,
        gate(tmp_path, {"orders": ALL}, {"lab": site.url}) as at,
    ):
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"), follow_redirects=False)
        assert (answer.status_code, answer.json()) == (status, {"a": 1})
    assert len(site.got) == 1


async def test_a_failing_upstream_is_left_alone(tmp_path: Path) -> None:
    route = ALL + "\nretries: 0\ncircuit: {failures: 3, open: 1h}"
    async with Site(lambda got: Say(503)) as site, gate(tmp_path, {"orders": route}, {"lab": site.url}) as at:
        key = at.key("orders")
        for _ in range(5):
            assert (await at.http.get("/gateway/orders/x", headers=key)).status_code == 503
        assert (len(site.got), at.gateway.circuit("orders")) == (3, "open")
        answer = await at.http.get("/gateway/orders/x", headers=key)
        assert answer.json()["text"] == "the upstream fails and is left alone for a while"
        assert 3500 < int(answer.headers["retry-after"]) <= 3600


async def test_a_slow_upstream_stalls_nobody(tmp_path: Path) -> None:
    going = asyncio.Event()

    async def slow(got: Got) -> Say:
        await going.wait()
        return Say(200, {})

    routes = {"slow": "to: stuck\nconcurrency: 2", "quick": "to: lab"}
    async with (
        Site(slow) as stuck,
        Site(echo) as site,
        gate(tmp_path, routes, {"stuck": stuck.url, "lab": site.url}) as at,
    ):
        key = at.key("slow", "quick")
        waiting = [asyncio.create_task(at.http.get("/gateway/slow/x", headers=key)) for _ in range(6)]
        quick = [await at.http.get("/gateway/quick/x", headers=key) for _ in range(20)]
        assert [a.status_code for a in quick] == [200] * 20
        assert not any(task.done() for task in waiting)
        assert len(stuck.got) <= 2
        going.set()
        assert [a.status_code for a in await asyncio.gather(*waiting)] == [200] * 6


async def test_dead_and_slow_upstreams_are_told_without_their_address(tmp_path: Path) -> None:
    async def slow(got: Got) -> Say:
        await asyncio.sleep(60)
        return Say()

    routes = {"slow": "to: stuck\ntimeout: 0.2s\nretries: 0", "dead": "to: gone\nretries: 1"}
    async with Site(slow) as stuck, gate(tmp_path, routes, {"stuck": stuck.url, "gone": "http://127.0.0.1:9"}) as at:
        key = at.key("slow", "dead")
        for route in routes:
            answer = await at.http.get(f"/gateway/{route}/x", headers=key)
            assert (answer.status_code, answer.json()["error"]) == (502, "send-unavailable")
            assert "127.0.0.1" not in answer.text


async def test_a_line_the_upstream_closed_meanwhile_costs_no_request(tmp_path: Path) -> None:
    async def closing(got: Got) -> Say:
        return Say(200, {"n": len(site.got)}, {"keep-alive": "timeout=0"})

    async with Site(closing) as site, gate(tmp_path, {"orders": ALL + "\nretries: 0"}, {"lab": site.url}) as at:
        key = at.key("orders")
        for n in range(1, 4):
            answer = await at.http.get("/gateway/orders/x", headers=key)
            assert (answer.status_code, answer.json()) == (200, {"n": n})
            for upstream in at.gateway._upstreams.values():
                for idle in upstream._idle:
                    idle.line._transport.abort()  # as a server that closes silent connections does


async def test_an_upstream_without_an_agreement_gets_nothing(tmp_path: Path) -> None:
    async with gate(tmp_path, {"orders": "to: lab"}, {"lab": "https://lab.example\npartner: lakeside"}) as at:
        answer = await at.http.get("/gateway/orders/x", headers=at.key("orders"))
        assert (answer.status_code, answer.json()["error"]) == (403, "no-agreement")
