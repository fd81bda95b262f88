"""A person's way through the console in a real browser: first link, live list, hostile names, reveal, replay, sign out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright

from suture.message import RunState
from suture.store.queue import runs
from tests.connectors.site import Got, Say
from tests.server.admin.console import PASSWORD, Console, adt, console
from tests.server.running import serving

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"NO BROWSER: {CHROMIUM} IS ABSENT, THE CONSOLE WAS NOT SEEN"),
]

# Each would set `struck` if it ever ran: as text, as an attribute, out of an attribute, out of pre, as a URL.
HOSTILE = (
    "<script>window.struck=1</script>",
    "<img src=x onerror=window.struck=1>",
    '"><svg onload=window.struck=1>',
    "' autofocus onfocus=window.struck=1 x='",
    '</pre><iframe srcdoc="<script>parent.struck=1</script>">',
    "</title><script>window.struck=1</script>",
    "javascript:window.struck=1",
    "{{ 7*7 }}{% raw %}<details open ontoggle=window.struck=1>",
    "<math><mtext><table><mglyph><style><img src onerror=window.struck=1>",
    "<a href=javascript:window.struck=1>x</a><base href=//evil.example>",
)


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        await started.close()


@asynccontextmanager
async def signed_in(here: Console) -> AsyncIterator[tuple[Page, list[str]]]:
    """A page of a person who signed in by the form, and everything the browser complained about."""
    async with browser() as started:
        page, complaints = await (await started.new_context()).new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        await page.goto(here.server.url)
        await page.get_by_label("Name").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Messages").wait_for()
        yield page, complaints


def hostile(text: str) -> bytes:
    """A message that carries the text wherever HL7 v2 lets a sender write one."""
    safe = text.replace("|", "").replace("\r", "")
    raw = adt(id=safe.replace("^", ""), mrn=safe, family=safe, given=safe)
    return raw.replace(b"LAKESIDE|SUTURE", safe.encode() + b"|SUTURE").replace(b"ZZZ|1|", b"ZZZ|1|" + safe.encode())


async def test_hostile_texts_stay_texts(tmp_path: Path) -> None:
    async with console(tmp_path, lambda got: Say(400, {"said": got.body.decode()})) as here:
        await here.send(*map(hostile, HOSTILE))
        await here.send(adt("type").replace(b"ADT^A01^ADT_A01", b"<img src=x onerror=window.struck=1>"))
        async with signed_in(here) as (page, complaints):
            listed = (await here.http.get("/api/messages")).json()["messages"]
            assert len(listed) == len(HOSTILE) + 1
            places = ["/deadletters?show=all", "/waiting", "/losses", *(f"/messages/{m['id']}" for m in listed)]
            places += [f"/runs/{run.id}" for run in runs.find(here.read)]
            for place in ["/", *places]:
                await page.goto(here.server.url + place)
                reason = page.locator("form.reveal input[name=reason]")
                if await reason.count():
                    await reason.fill("looking at <script>window.struck=1</script>")
                    await page.get_by_role("button", name="Reveal values").click()
                    await page.get_by_text("Shown as it is").wait_for()
                assert await page.evaluate("window.struck") is None, place
                assert await page.locator("main script, main iframe, main svg, main base, main style").count() == 0, (
                    place
                )
            shown = await page.locator("pre").first.text_content() or ""
            assert "struck" in shown
            assert complaints == []


class Registry:
    mended = False

    def __call__(self, got: Got) -> Say:
        return Say(200, {"ok": True}) if self.mended else Say(400)


async def test_from_a_dead_letter_to_a_finished_run(tmp_path: Path) -> None:
    registry = Registry()
    async with console(tmp_path, registry) as here, signed_in(here) as (page, complaints):
        await here.send(adt("M1"))
        await page.get_by_role("cell", name="M1").wait_for(timeout=10_000)  # the page renews itself
        await page.get_by_role("link", name="Dead letters", exact=True).click()
        await page.get_by_text("answered 400").wait_for()
        registry.mended = True
        await page.get_by_role("button", name="Replay", exact=True).click()
        await page.get_by_role("heading", name="Admissions into the chart").wait_for()
        await here.until(lambda: runs.find(here.read)[0].state is RunState.DONE)
        await page.reload()
        await page.get_by_role("button", name="Open all").click()
        text = await page.locator("main").inner_text()
        assert "Zquackson" not in text
        await page.get_by_label("Values are masked. Why must you see them?").fill("a question of the ward")
        await page.keyboard.press("Enter")
        await page.get_by_text("Shown as it is").wait_for()
        assert "Zquackson" in await page.content()
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="Sign in").wait_for()
        await page.goto(here.server.url)
        assert page.url.endswith("/sign-in")
        assert complaints == []


async def test_the_pages_fit_a_telephone_and_name_their_fields(tmp_path: Path) -> None:
    async with console(tmp_path, lambda got: Say(400)) as here, signed_in(here) as (page, _):
        await here.send(adt("M1"), adt("M2", mrn="2"))
        await page.set_viewport_size({"width": 360, "height": 740})
        (run, *_) = runs.find(here.read)
        for place in ("/", "/deadletters", "/waiting", "/losses", f"/runs/{run.id}"):
            await page.goto(here.server.url + place)
            assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), place
            unnamed = "document.querySelectorAll('input:not([type=hidden]), select')"
            assert await page.evaluate(f"[...{unnamed}].filter(one => !one.labels.length).map(one => one.name)") == []
            ids = "[...document.querySelectorAll('[id]')].map(one => one.id)"
            found = await page.evaluate(ids)
            assert len(found) == len(set(found)), place


async def test_the_first_run_link_makes_the_administrator(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, browser() as started:
        link = server.app.people.first_run_link()
        page = await (await started.new_context()).new_page()
        await page.goto(server.url)
        await page.get_by_text("There is no administrator yet").wait_for()
        await page.goto(f"{server.url}/first-run/{link}")
        await page.get_by_label("Name").fill("ada")
        await page.get_by_label("Password").fill("short")
        await page.get_by_role("button", name="Create and sign in").click()
        await page.get_by_role("alert").get_by_text("too easy to guess").wait_for()
        await page.get_by_label("Name").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create and sign in").click()
        await page.get_by_text("No message yet").wait_for()
        await page.goto(f"{server.url}/first-run/{link}")
        await page.get_by_text("this link was used or is too old").wait_for()
