"""`/metrics` counts every answer once, by route pattern, and names nobody."""

from __future__ import annotations

import httpx

from tests.server.people import patient
from tests.server.running import Running


def values(text: str) -> dict[str, float]:
    rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


async def test_every_answer_is_counted_once(server: Running) -> None:
    await server.put(patient("p1", "Zyxwvut"))
    for _ in range(3):
        await server.http.get("/fhir/Patient/p1")
    await server.http.get("/fhir/Patient/Zyxwvut")
    await server.http.get("/fhir/Patient?name=Zyxwvut")
    await server.http.request("BREW", "/Zyxwvut")
    answer = await server.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = values(answer.text)
    read = 'route="/fhir/{type}/{id}",method="GET"'
    assert found[f'suture_http_requests_total{{{read},status="200"}}'] == 3
    assert found[f'suture_http_requests_total{{{read},status="404"}}'] == 1
    assert found['suture_http_requests_total{route="/fhir/{type}",method="GET",status="200"}'] == 1
    assert found[f"suture_http_request_seconds_count{{{read}}}"] == 4
    assert found[f'suture_http_request_seconds_bucket{{{read},le="+Inf"}}'] == 4
    assert found["suture_database_fenced"] == 0
    assert found["process_cpu_seconds_total"] > 0
    assert "Zyxwvut" not in answer.text
    assert "BREW" not in answer.text


async def test_buckets_only_grow(server: Running) -> None:
    for _ in range(5):
        await server.http.get("/health/live")
    lines = (await server.http.get("/metrics")).text.splitlines()
    counts = [int(line.rsplit(" ", 1)[1]) for line in lines if 'bucket{route="/health/live"' in line]
    assert counts == sorted(counts)
    assert counts[-1] == 5


async def test_a_stranger_learns_no_figures(server: Running) -> None:
    assert (await httpx.AsyncClient().get(f"{server.url}/metrics")).status_code == 401
