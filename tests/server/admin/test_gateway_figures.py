"""The page Gateway and its API: routes, use by caller, percentiles, keys; figures without anything of a patient."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from suture.access import people
from suture.server.admin.gateway_figures import GatewayView
from suture.store import audit
from suture.store.gateway_usage import DAY, MINUTE, find
from tests.connectors.site import Got, Say, Site
from tests.server.admin.console import PASSWORD, SAME
from tests.server.gate import Gate, gate

ROUTES = {
    "orders": "title: Lab <b>orders</b>\nto: lab\nmethods: [GET, POST]\neach: {minute: 5}\nplan: bronze",
    "chart": "to: local",
    "bronze": "suture: plan/1\nid: bronze\nlimits: {day: 1000}\n",
}


def answer(got: Got) -> Say:
    return Say(503 if "fail" in got.target else 200, {"a": "b" * 100})


async def signed_in(at: Gate, role: str) -> None:
    people.add_user(at.server.app.database, role, role, PASSWORD, [role])
    token = await at.server.app.people.sign_in(role, PASSWORD, "")
    at.http.cookies.set("suture_session", token)
    at.http.headers.update(SAME)


async def used(at: Gate) -> dict[str, str]:
    key = at.key("orders")
    for path in ("a?name=Zquackson", "b", "fail"):
        await at.http.get(f"/gateway/orders/{path}", headers={**key, "Idempotency-Key": ""})
    await at.http.post("/gateway/orders/c", headers=key, content=b"Zquackson")
    for _ in range(3):
        await at.http.get("/gateway/orders/x", headers=key)
    return key


async def test_use_is_shown_by_caller_with_percentiles(tmp_path: Path) -> None:
    async with Site(answer) as site, gate(tmp_path, ROUTES, {"lab": site.url}) as at:
        await used(at)
        await signed_in(at, "infrastructure")
        view = (await at.http.get("/api/gateway")).json()
        assert msgspec.convert(view, GatewayView) == view
        row = next(one for one in view["use"] if one["route"] == "orders")
        assert (row["caller"], row["requests"], row["refused"], row["failed"]) == ("key:k0", 7, 2, 1)
        assert (row["bytes_in"], row["bytes_out"] > 400) == (9, True)
        assert 0 < row["p50"] <= row["p90"] <= row["p95"] <= row["p99"]
        assert [(r["id"], r["circuit"], r["requests"]) for r in view["routes"]] == [
            ("chart", "closed", 0),
            ("orders", "closed", 7),
        ]
        assert view["plans"] == [{"id": "bronze", "limits": "day=1000"}]
        page = (await at.http.get("/routes?span=day", headers={"Accept": "text/html"})).text
        assert "Lab &lt;b&gt;orders&lt;/b&gt;" in page
        assert "key:k0" in page
        assert "New key" in page
        assert "Zquackson" not in page + str(view)
        assert (await at.http.get("/api/gateway?span=year")).status_code == 400
        assert audit.find(at.server.app.database.read, count=1)[0].row.type == "Gateway"


async def test_figures_are_on_disk_after_the_server_ends_by_minute_and_day(tmp_path: Path) -> None:
    async with Site(answer) as site:
        for turn in (1, 2):
            async with gate(tmp_path, ROUTES, {"lab": site.url}) as at:
                await used(at)
                await at.gateway.stop()
                read = at.server.app.database.read
                for span in (MINUTE, DAY):
                    rows = list(find(read, span, 0, 1 << 40, "orders", f"key:k{turn - 1}"))
                    assert sum(row.used.requests for row in rows) == 7
                    assert sum(sum(row.used.spread.values()) for row in rows) == 7
                    assert all(row.at % span == 0 for row in rows)


async def test_metrics_name_routes_and_nobody(tmp_path: Path) -> None:
    async with Site(answer) as site, gate(tmp_path, ROUTES, {"lab": site.url}) as at:
        await used(at)
        text = (await at.server.http.get("/metrics")).text
        assert 'suture_gateway_requests_total{route="orders"} 7' in text
        assert 'suture_gateway_refused_total{route="orders"} 2' in text
        assert 'suture_gateway_failed_total{route="orders"} 1' in text
        assert re.search(r'suture_gateway_seconds\{route="orders",quantile="0\.95"\} 0\.\d+', text)
        assert 'suture_gateway_circuit_open{route="orders"} 0' in text
        assert "k0" not in text
        assert "Zquackson" not in text


async def test_keys_are_made_rotated_and_ended_here(tmp_path: Path) -> None:
    async with Site(answer) as site, gate(tmp_path, ROUTES, {"lab": site.url}) as at:
        await signed_in(at, "infrastructure")
        form = {
            "name": "Lab 7",
            "route": "orders chart",
            "plan": "bronze",
            "limits": "minute=3",
            "scope": "system/Patient.rs",
            "expires": "90d",
        }
        page = (await at.http.post("/routes/keys", data=form)).text
        first = re.search(r"gk_[\w-]{43}", page)
        assert first is not None
        view = (await at.http.get("/api/gateway")).json()["keys"][0]
        assert (view["name"], view["routes"], view["plan"], view["limits"], view["scopes"], view["state"]) == (
            "Lab 7", ["chart", "orders"], "bronze", "minute=3", ["system/Patient.rs"], "active"
        )  # fmt: skip
        made = (await at.http.post("/api/gateway/keys/Lab%207/rotate", json={"overlap": "1h"})).json()
        for value in (first[0], made["key"]):
            assert (await at.http.get("/gateway/orders/x", headers={"X-API-Key": value})).status_code == 200
        assert (await at.http.post("/routes/keys/Lab%207/revoke")).status_code == 303
        assert (await at.http.get("/gateway/orders/x", headers={"X-API-Key": made["key"]})).status_code == 401
        assert first[0] not in (await at.http.get("/routes")).text
        said = [
            e.row.what
            for e in reversed(audit.find(at.server.app.database.read, count=50))
            if e.row.what.startswith("key-")
        ]
        assert said == ["key-add", "key-rotate", "key-revoke"]


async def test_what_no_key_can_be_is_refused(tmp_path: Path) -> None:
    async with gate(tmp_path, ROUTES, {"lab": "http://127.0.0.1:9"}) as at:
        await signed_in(at, "infrastructure")
        good = {"name": "lab", "route": "orders"}
        wrong = [({"route": ""}, "opens nothing"), ({"route": "nothing"}, "no route of this name"), ({"plan": "gold"}, "no plan of this name"),
            ({"limits": "minutes=1"}, "no limit named"), ({"scope": "x"}, "not a SMART scope"), ({"scope": "patient/*.rs"}, "needs a patient"),
            ({"expires": "soon"}, "not a duration"), ({"name": "<b>"}, "a name of letters")]  # fmt: skip
        for change, said in wrong:
            answer = await at.http.post("/api/gateway/keys", json={**good, **change})
            assert (answer.status_code, said in answer.json()["text"]) == (400, True), answer.text
        assert (await at.http.get("/api/gateway")).json()["keys"] == []
        assert (await at.http.post("/api/gateway/keys", json=good)).status_code == 200
        assert (await at.http.post("/api/gateway/keys", json=good)).status_code == 409


async def test_who_may_look_may_not_change(tmp_path: Path) -> None:
    async with gate(tmp_path, ROUTES, {"lab": "http://127.0.0.1:9"}) as at:
        await signed_in(at, "operator")
        page = (await at.http.get("/routes")).text
        assert "New key" not in page
        assert (await at.http.post("/routes/keys", data={"name": "x", "route": "orders"})).status_code == 403
        await signed_in(at, "viewer")
        assert (await at.http.get("/routes")).status_code == 403
        assert (await at.http.get("/api/gateway")).status_code == 403
