"""SQL, cursors and empty lists: no value, name, id or sort key changes what a statement is; no cursor works but as it was given."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
import pytest_asyncio

from suture.standards.fhir import search
from suture.store import accounts
from tests.attacks.world import SECRET, Scene, scene
from tests.server.people import observation, patient
from tests.server.running import serving

TYPES = ["Patient", "Observation", "Encounter", "Condition"]
CORPUS = (
    "'", '"', "''", "';--", "' OR '1'='1", "' OR 1=1--", '" OR ""="', "') OR ('1'='1", "1) OR 1=1 --", "1; DROP TABLE res;--",
    "' UNION SELECT body FROM res--", "x' AND (SELECT count(*) FROM res) > 0--", "' || (SELECT hash FROM audit LIMIT 1) || '",
    "%", "_", "%25", "*", "\\", "\\'", "?", "?1", ":a", "@a", "$a", "NULL", "0x31", "1e400", "-1", "\x01", "\u2019 OR 1=1", "()", "CASE WHEN 1 THEN 1 END",
    "'; ATTACH DATABASE 'x' AS y;--", "load_extension('x')", "randomblob(1000000000)", "suture_holds(1,1)", "a\tb", "a\nb",
)  # fmt: skip


@pytest_asyncio.fixture
async def there(tmp_path: Path) -> Any:
    async with scene(tmp_path, "compartment", TYPES) as made:
        yield made


@pytest.mark.slow
async def test_no_text_changes_a_statement(there: Scene) -> None:
    """Every parameter of four types and every place of an address, with each text: an answer or a refusal, nothing of b, no harm."""
    for type in TYPES:
        codes = sorted(search.searchable(type))
        for n, text in enumerate(CORPUS):
            for code in codes[n % 3 :: 3]:  # a third of the parameters for each text
                await sound(there, f"/fhir/{type}?{code}={quote(text, safe='')}")
            for place in (
                f"/fhir/{type}?{quote(text, safe='')}=x", f"/fhir/{type}?_sort={quote(text, safe='')}", f"/fhir/{type}/{quote(text, safe='')}",
                f"/fhir/{type}?_id={quote(text, safe='')}", f"/fhir/{type}/a/_history/{quote(text, safe='')}", f"/fhir/{type}?_count={quote(text, safe='')}",
                f"/fhir/{type}?_include={quote(text, safe='')}", f"/fhir/{type}?_has:Observation:patient:code={quote(text, safe='')}",
                f"/fhir/{type}?_cursor={quote(text, safe='')}", f"/fhir?_type={quote(text, safe='')}", f"/fhir/{quote(text, safe='')}",
            ):  # fmt: skip
                await sound(there, place)
    whole = (await there.server.http.get("/fhir/Patient?_total=accurate")).json()
    assert whole["total"] == 2
    assert there.asked > 2000


async def sound(there: Scene, path: str) -> None:
    there.asked += 1
    answer = await there.http.get(path)
    assert answer.status_code in (200, 400, 403, 404, 405, 422), (path, answer.status_code, answer.text)
    assert SECRET.lower() not in there.told(answer), path
    if "syntax error" in answer.text.lower() or "sqlite" in answer.text.lower():
        pytest.fail(f"{path}: {answer.text}")


async def test_a_cursor_works_as_it_was_given_and_for_nobody_else(there: Scene) -> None:
    async def next_of(path: str) -> str:
        links = (await there.http.get(path)).json()["link"]
        return next(link["url"] for link in links if link["relation"] == "next")

    for path in ("/fhir/Observation?_count=1", "/fhir/Observation/_history?_count=1"):
        url = await next_of(path)
        assert (await there.http.get(url)).status_code == 200
        chance, (head, _, sealed) = random.Random(3), url.partition("_cursor=")
        letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for _ in range(100):
            at = chance.randrange(len(sealed))
            changed = sealed[:at] + chance.choice(letters.replace(sealed[at], "")) + sealed[at + 1 :]
            assert (await there.http.get(f"{head}_cursor={changed}")).status_code == 400
        for more in ("&_count=1000", "&patient=bsecret", f"&_cursor={sealed}"):
            assert (await there.http.get(url + more)).status_code == 400
        other_place = urlsplit(url)._replace(path="/fhir/Encounter").geturl()
        assert (await there.http.get(other_place)).status_code == 400
        for scopes, whose in (("patient/*.cruds", "a"), ("patient/*.cruds", "bsecret"), ("system/*.cruds", "")):
            other = await there.http.get(url, headers=there.server.key(scopes, whose))
            assert (other.status_code, "not a cursor" in other.text) == (400, True)


@pytest.mark.parametrize(
    "scopes", [[], ["patient/*.cruds"], ["user/Observation.c"], ["user/Observation.rs?category=none-such"]]
)
async def test_an_empty_allowance_is_nothing(tmp_path: Path, scopes: list[str]) -> None:
    async with serving(tmp_path) as server:
        await server.put(patient("a"))
        await server.put(observation("o1", "a"))
        headers = server.key("user/Slot.r")  # and then what is granted is this, and no patient
        last = next(c for c in accounts.clients(server.app.database.read) if c.name == server.made[-1])
        server.app.database.write_now(lambda tx: accounts.change_client(tx, last.id, scopes=scopes))
        async with httpx.AsyncClient(base_url=server.url, headers=headers) as http:
            for path in (
                "Observation",
                "Patient",
                "Observation/o1",
                "Patient/a",
                "Observation/_history",
                "Observation?_summary=count",
                "",
                "_history",
            ):
                answer = await http.get(f"/fhir/{path}")
                assert answer.status_code in (200, 403, 404), path
                if answer.status_code == 200:
                    assert answer.json().get("entry", []) == []
                    assert answer.json().get("total", 0) == 0
