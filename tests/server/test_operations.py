"""The addresses of operations: made from the table, closed like every other, refused with a hint where nothing stands."""

from __future__ import annotations

from suture.server.operations import routes
from suture.server.routes import TABLE
from suture.services.operations import table
from tests.server.running import Running
from tests.services.operations.test_values import COUNTED


def test_each_address_takes_get_and_post() -> None:
    made = {(r.method, r.pattern) for r in routes([COUNTED])}
    places = ("/fhir/$counted", "/fhir/Patient/$counted", "/fhir/Patient/{id}/$counted")
    assert made == {(method, place) for method in ("GET", "POST") for place in places}


def test_every_operation_of_the_table_has_its_addresses() -> None:
    there = {r.pattern for r in TABLE}
    assert [o.name for o in table.TABLE if o.run and not {f"/fhir{p}" for p in o.patterns} <= there] == []


async def test_an_unknown_operation_is_named_as_one(server: Running) -> None:
    answer = await server.http.get("/fhir/Patient/$frobnicate")
    assert answer.status_code == 404
    issue = answer.json()["issue"][0]
    assert issue["details"]["text"] == "no such operation here"
    assert issue["diagnostics"] == "Here are: $everything, $export, $match, $meta, $validate."
    for address, there in (("$lastn", "$export, $graphql, $meta"), ("Observation/o/$lastn", "$graphql, $meta")):
        told = (await server.http.get(f"/fhir/{address}")).json()["issue"][0]
        assert told["details"]["text"] == "no such operation here"
        assert told["diagnostics"].startswith(f"Here are: {there}")
