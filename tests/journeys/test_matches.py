"""A person comes in twice over a feed: the pair waits, a registrar links it in a browser by keyboard, $everything shows both."""

from __future__ import annotations

from pathlib import Path

import tests.journeys.test_console as seen
from suture.access import people
from suture.store import matches, resources
from tests.server.admin.console import PASSWORD, Console, adt, console

pytestmark = seen.pytestmark  # where there is a browser


def encounters(bundle: dict[str, object]) -> int:
    entries = bundle["entry"]
    assert isinstance(entries, list)
    return sum(entry["resource"]["resourceType"] == "Encounter" for entry in entries)


async def everything(here: Console, id: str) -> dict[str, object]:
    answer = await here.server.http.get(f"/fhir/Patient/{id}/$everything")
    found: dict[str, object] = answer.json()
    return found


async def linked_by_keyboard(here: Console) -> None:
    """Signs in, opens the pair, goes to the button by keys alone."""
    people.add_user(here.server.app.database, "reg", "Rita", PASSWORD, ["registrar"])
    async with seen.browser() as started:
        page, complaints = await (await started.new_context()).new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        await page.goto(here.server.url)
        await page.get_by_label("Name").fill("reg")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.keyboard.press("Enter")
        await page.get_by_role("link", name="Compare").focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="One person, or two?").wait_for()
        wanted = page.get_by_role("button", name="stands").first
        for _ in range(20):
            await page.keyboard.press("Tab")
            if await wanted.evaluate("one => one === document.activeElement"):
                break
        await page.keyboard.press("Enter")
        await page.get_by_text("Linked. Both records are kept.").wait_for()
        assert complaints == []


async def test_registered_twice_linked_once(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        await here.send(adt(id="ONE", mrn="88114477"), adt(id="TWO", mrn="99225588"))
        await here.until(lambda: matches.count(here.read, "open") == 1, 30)
        first, second = sorted(resources.history(here.read, "Patient"), key=lambda row: row.rid)
        alone = encounters(await everything(here, first.id))
        await linked_by_keyboard(here)
        assert matches.count(here.read, "linked") == 1
        whole = await everything(here, first.id)
        assert encounters(whole) == alone + encounters(await everything(here, second.id))
        assert f"Patient/{second.id}" in str(whole)
        (row,) = here.trail("link")
        assert set(row.patients) == {f"Patient/{first.id}", f"Patient/{second.id}"}
        # the feed goes on under the old number: the record that was replaced stays replaced
        await here.send(adt(id="THREE", mrn="99225588"))
        again = resources.read(here.read, "Patient", second.id)
        assert again is not None
        assert b'"replaced-by"' in again.body
        assert b'"active":false' in again.body
