"""Brands over HTTP: for anyone, from any origin, with a version, and named in the discovery document."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.server.running import Running, serving
from tests.services.test_brands import FULL


async def test_anybody_finds_the_house_and_its_address(tmp_path: Path) -> None:
    (tmp_path / "brands.yaml").write_text(FULL)
    async with serving(tmp_path) as server, httpx.AsyncClient(headers={"Origin": "https://app.example"}) as http:
        told = (await http.get(f"{server.url}/fhir/.well-known/smart-configuration")).json()
        assert told["user_access_brand_bundle"] == f"{server.url}/brands"
        answer = await http.get(told["user_access_brand_bundle"])
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] in ("*", "https://app.example")
        assert answer.headers["content-type"].startswith("application/fhir+json")
        organizations = [
            e["resource"] for e in answer.json()["entry"] if e["resource"]["resourceType"] == "Organization"
        ]
        primary = [one for one in organizations if told["user_access_brand_identifier"] in one["identifier"]]
        assert len(primary) == 1
        addresses = [e["resource"]["address"] for e in answer.json()["entry"] if "connectionType" in e["resource"]]
        assert addresses
        for address in addresses:
            found = await http.get(f"{address}/metadata")
            assert (found.status_code, found.json()["resourceType"]) == (200, "CapabilityStatement")
        again = await http.get(f"{server.url}/brands", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        assert again.headers["access-control-allow-origin"] in ("*", "https://app.example")
        other = await http.get(f"{server.url}/brands", headers={"If-None-Match": 'W/"other"'})
        assert other.status_code == 200


async def test_without_brands_nothing_is_claimed(server: Running) -> None:
    assert (await server.http.get("/brands")).status_code == 404
    told = (await server.http.get("/fhir/.well-known/smart-configuration")).json()
    assert not [name for name in told if name.startswith("user_access_brand")]
