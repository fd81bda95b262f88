"""People in a real browser: passkeys, hostile names on every page, forged forms and frames of another site."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page

from suture.access import passwords, people, staff
from suture.server.admin.pages import PLACES
from suture.store import accounts, factors, proxies
from tests.connectors.site import Say, Site
from tests.journeys.test_console import HOSTILE, browser, pytestmark
from tests.server.people import patient
from tests.server.running import Running, serving

__all__ = ["pytestmark"]
PASSWORD = "correct horse battery"


async def authenticator(context: BrowserContext, page: Page, *, verified: bool = True) -> Any:
    """A passkey device inside the browser."""
    cdp = await context.new_cdp_session(page)
    await cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": verified, "automaticPresenceSimulation": True,
    }  # fmt: skip
    made = await cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    return cdp, made["authenticatorId"]


async def sign_in(page: Page, base: str, login: str = "ada") -> None:
    await page.goto(f"{base}/sign-in")
    await page.get_by_label("Name").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()


async def test_a_passkey_is_made_and_opens_the_door(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, login__second_factor="privileged", session__strong=1.0) as server,
        browser() as started,
    ):
        base = server.url.replace("127.0.0.1", "localhost")
        link = server.app.people.first_run_link()
        context = await started.new_context()
        page = await context.new_page()
        cdp, device = await authenticator(context, page)
        await page.goto(f"{base}/first-run/{link}")
        await page.get_by_label("Name").fill("ada")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create and sign in").click()
        await page.get_by_label("What to call it").fill("My <b>laptop</b>")
        await page.get_by_role("button", name="Make a passkey").click()
        await page.get_by_role("heading", name="Keep these recovery codes").wait_for()
        assert await page.locator(".codes li").count() == 10
        await page.get_by_role("link", name="I have kept them").click()
        await page.get_by_role("heading", name="Messages").wait_for()
        await page.get_by_role("button", name="Sign out").click()

        await sign_in(page, base)
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_role("heading", name="Messages").wait_for()
        await page.wait_for_timeout(1100)
        await page.goto(f"{base}/people")
        await page.get_by_role("link", name="confirm that it is you").click()
        await page.get_by_role("button", name="Use a passkey").click()
        await page.get_by_role("heading", name="People").wait_for()

        ada = staff.by_login(server.app.database.read, "ada")
        (kept,) = factors.of_user(server.app.database.read, ada.id)
        assert (kept.kind, kept.name) == ("passkey", "My <b>laptop</b>")
        await _copied(server, page, base, cdp, device)


async def _copied(server: Running, page: Page, base: str, cdp: Any, device: str) -> None:
    """A copy of the passkey shows a count that was seen before; one that does not know its person is not asked again."""
    (credential,) = (await cdp.send("WebAuthn.getCredentials", {"authenticatorId": device}))["credentials"]
    await cdp.send("WebAuthn.removeCredential", {"authenticatorId": device, "credentialId": credential["credentialId"]})
    await cdp.send("WebAuthn.addCredential", {"authenticatorId": device, "credential": {**credential, "signCount": 0}})
    await page.goto(f"{base}/account")
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, base)
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_role("alert").get_by_text("this passkey was not accepted").wait_for()
    await cdp.send("WebAuthn.setUserVerified", {"authenticatorId": device, "isUserVerified": False})
    await page.get_by_role("button", name="Use a passkey").click()
    await page.get_by_role("alert").filter(visible=True).first.wait_for()
    assert page.url.endswith("/sign-in/second")
    assert [one.name for one in await page.context.cookies() if one.get("name") == "suture_session"] == []


@asynccontextmanager
async def hostile_house(folder: Path) -> AsyncIterator[Running]:
    """A house in which everybody's name, and everything else one may write, is hostile."""
    async with serving(folder) as server:
        db, hashed = server.app.database, passwords.hashed(PASSWORD)
        for n, text in enumerate(HOSTILE):
            await server.put(
                patient(
                    f"p{n}",
                    text,
                    address=[{"line": [text], "city": text}],
                    telecom=[{"system": "phone", "value": text}],
                )
            )

            def unit(tx: Any, n: int = n, text: str = text) -> None:
                user = staff.create(tx, f"u{n}", text, hashed, ["patient"], patient=f"p{n}")
                accounts.add_role(tx, user.id, "proxy")
                proxies.grant(tx, user.id, f"p{(n + 1) % len(HOSTILE)}", text, "user:1")
                factors.add(tx, user.id, "totp", text, b"x")
                accounts.create_session(tx, f"t{n}", user.id, 3600, {"agent": text, "address": text, "how": "totp"})
                server.app.people.invitations.staff(tx, f"i{n}", text, ["viewer"], "user:1")
                server.app.people.invitations.proxy(tx, f"p{n}", text, text, 0, "user:1")

            db.write_now(unit)
            whose = {"reference": f"Patient/p{n}"}
            coded = {"coding": [{"system": "http://example.org", "code": "x", "display": text}], "text": text}
            await server.put({"resourceType": "Condition", "id": f"c{n}", "subject": whose, "code": coded})
            await server.put(
                {
                    "resourceType": "Coverage",
                    "id": f"i{n}",
                    "status": "active",
                    "beneficiary": whose,
                    "payor": [{"display": text}],
                }
            )
        people.add_user(db, "ada", "Ada", PASSWORD, ["administrator"])
        yield server


async def test_hostile_names_stay_texts_on_every_page(tmp_path: Path) -> None:
    async with hostile_house(tmp_path) as server, browser() as started:
        complaints: list[str] = []
        page = await (await started.new_context()).new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("console", lambda said: complaints.append(said.text) if "violates" in said.text else None)
        await sign_in(page, server.url)
        users = accounts.find_users(server.app.database.read, own=True)
        staffed = [address for address, _, needs in PLACES if "own.use" not in needs]
        await look(
            page, server.url, [*staffed, "/people?show=patients", "/account", *(f"/people/{one.id}" for one in users)]
        )
        for n in range(len(HOSTILE)):
            await page.context.clear_cookies()
            await page.context.add_cookies([{"name": "suture_session", "value": f"t{n}", "url": server.url}])
            await look(page, server.url, ["/account", "/own/choose"])
            await page.locator("form[action='/own/choose'] button").first.click()
            await look(page, server.url, ["/own", "/own/seen", "/own/apps", "/own/proxies", "/own/record/problems"])
        assert complaints == []


async def look(page: Page, base: str, places: list[str]) -> None:
    for place in places:
        answer = await page.goto(base + place)
        assert answer is not None
        assert answer.status == 200, place
        assert await page.evaluate("window.struck") is None, place
        assert (
            await page.locator("main script, main iframe, main svg, main base, main style, main math").count() == 0
        ), place
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy


async def test_another_site_can_neither_send_forms_nor_frame_pages(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, browser() as started:
        bob = people.add_user(server.app.database, "bob", "Bob", PASSWORD, ["viewer"])
        people.add_user(server.app.database, "ada", "Ada", PASSWORD, ["administrator"])
        base = server.url.replace("127.0.0.1", "localhost")
        forms = "".join(
            f'<form id="f{n}" method="post" action="{base}{path}"><input name="role" value="administrator"></form>'
            for n, path in enumerate(
                (
                    f"/people/{bob.id}/roles",
                    f"/people/{bob.id}/deactivate",
                    "/people/invite",
                    "/account/sessions/all",
                    "/sign-out",
                )
            )
        )
        html = f'<html><body>{forms}<iframe src="{base}/people"></iframe></body></html>'
        async with Site(lambda got: Say(200, html.encode(), {"Content-Type": "text/html"})) as evil:
            page = await (await started.new_context()).new_page()
            await sign_in(page, base)
            await page.get_by_role("heading", name="Messages").wait_for()
            for n, host in (
                (n, host) for host in ("127.0.0.1", "localhost") for n in range(5)
            ):  # the second is the same site
                await page.goto(evil.url.replace("127.0.0.1", host))
                await page.wait_for_timeout(100)
                assert not [frame for frame in page.frames[1:] if "Bob" in await frame.content()]
                await page.evaluate(f"document.getElementById('f{n}').submit()")
                await page.wait_for_url(re.compile(re.escape(base)))
                assert "from another site" in await page.content() or page.url.endswith("/sign-in")
            await page.goto(f"{base}/people")
            await page.get_by_role("link", name="Bob").wait_for()  # still signed in
        found = staff.by_login(server.app.database.read, "bob")
        assert (found.roles, found.active) == (("viewer",), True)
        assert server.app.people.invitations.open() == []
