"""The pages on an app's way, in a real browser: hostile names run nothing, the form ends at the app, and they fit a telephone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest
from playwright.async_api import Page

from tests.conformance.smart import PASSWORD, App, Kit, Proof, kit
from tests.journeys.test_console import CHROMIUM, HOSTILE, browser
from tests.server.people import encounter, patient

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"NO BROWSER: {CHROMIUM} IS ABSENT, THE PAGES WERE NOT SEEN"),
]
SCOPE = "openid fhirUser profile launch/patient launch/encounter patient/Condition.rs patient/Observation.rs user/*.rs offline_access"


@asynccontextmanager
async def doctor(smart: Kit) -> AsyncIterator[tuple[Page, list[str]]]:
    """A signed-in page, and everything the browser complained about."""
    async with browser() as started:
        page, complaints = await (await started.new_context()).new_page(), []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        await page.goto(smart.url + "/sign-in")
        await page.get_by_label("Name").fill("doctor")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="Sign out").wait_for()
        yield page, complaints


def asked(smart: Kit, app: App, proof: Proof, scope: str = SCOPE) -> str:
    return f"{smart.url}/auth/authorize?{urlencode(app.request(proof, scope))}"


async def quiet(page: Page, where: str) -> None:
    assert await page.evaluate("window.struck") is None, where
    count = await page.locator("main script, main iframe, main svg, main base, main style").count()
    assert count == 0, where
    wide = await page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    assert not wide, f"{where} is wider than the screen"


async def test_hostile_names_run_nothing(tmp_path: Path) -> None:
    async with kit(tmp_path) as smart:
        for number, text in enumerate(HOSTILE):
            clean = text.replace("\x00", "")
            await smart.running.put(patient(f"x{number}", clean, identifier=[{"value": clean}]))
            await smart.running.put(encounter(f"v{number}", f"x{number}", type=[{"text": clean}]))
        async with doctor(smart) as (page, complaints):
            for number, text in enumerate(HOSTILE):
                app = smart.app(name=text, launch_url="https://app.example/launch")
                for width in (1280, 390):
                    await page.set_viewport_size({"width": width, "height": 800})
                    await page.goto(asked(smart, app, Proof(state=text), SCOPE))
                    await quiet(page, f"search {text}")
                    await page.get_by_label("Record number").fill(text)
                    await page.get_by_role("button", name="Search").click()
                    await quiet(page, f"found {text}")
                    await page.locator(f'button[value="x{number}"]').click()
                    await page.get_by_role("heading", name="Which visit?").wait_for()
                    await quiet(page, f"visits {text}")
                    await page.locator(f'button[value="v{number}"]').click()
                    await page.get_by_role("heading", name="Allow").wait_for()
                    await quiet(page, f"consent {text}")
                    assert text in (await page.locator("h1").text_content() or "")
            await page.goto(smart.url + "/launch")
            await page.get_by_label("Name begins with").fill("<script")
            await page.get_by_role("button", name="Search").click()
            await quiet(page, "launch")
            await page.locator('button[value="x0"]').click()
            await page.get_by_label("App", exact=True).wait_for()
            await quiet(page, "launch with hostile apps")
            assert complaints == []


async def test_the_form_ends_at_the_app(tmp_path: Path) -> None:
    async with kit(tmp_path) as smart, doctor(smart) as (page, complaints):
        seen: list[str] = []
        await page.route(
            "https://app.example/**", lambda route: (seen.append(route.request.url), route.fulfill(body="app"))[1]
        )
        app, proof = smart.app(launch_url="https://app.example/launch"), Proof()
        await page.goto(asked(smart, app, proof, "launch/patient patient/Condition.rs patient/Observation.rs"))
        await page.get_by_label("Record number").fill("mrn-p1")
        await page.keyboard.press("Enter")
        await page.locator('button[value="p1"]').click()
        await page.get_by_role("heading", name="Allow").wait_for()
        await page.get_by_label("Conditions and diagnoses").uncheck()
        await page.locator("summary").first.click()
        await page.get_by_label("The list of problems").check()
        await page.get_by_role("button", name="Allow").click()
        await page.wait_for_url("https://app.example/after?**")
        code = app.code_of(page.url, proof)
        told = (await app.exchange(code, proof)).json()
        assert "patient/Condition.rs?category=" in told["scope"]
        assert "patient/Condition.rs " not in told["scope"] + " "
        await page.goto(smart.url + "/launch")
        await page.get_by_label("Record number").fill("mrn-p1")
        await page.keyboard.press("Enter")
        await page.locator('button[value="p1"]').click()
        await page.get_by_role("button", name="Open", exact=True).click()
        await page.wait_for_url("https://app.example/launch?**")
        assert complaints == []
        assert len(seen) == 2


async def test_a_frame_shows_nothing_of_it(tmp_path: Path) -> None:
    async with kit(tmp_path) as smart, doctor(smart) as (page, _):
        address = asked(smart, smart.app(), Proof(), "user/*.rs")
        await page.route(
            "https://evil.example/",
            lambda route: route.fulfill(content_type="text/html", body=f'<iframe src="{address}"></iframe>'),
        )
        await page.goto("https://evil.example/")
        frame = page.frames[-1]
        await frame.wait_for_load_state()
        assert await frame.get_by_role("button", name="Allow").count() == 0
