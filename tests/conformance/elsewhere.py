"""A second process on the same database: exchanges codes and reads tokens beside the server.

Called with one JSON argument; answers one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from suture import settings as settings_of
from suture.access.oauth import codes
from suture.access.oauth.errors import OAuthRefused
from suture.app import App, open_rooms


def rooms(folder: str, base: str) -> App:
    """The rooms of a folder, as a command opens them."""
    given = {"key_file": f"{folder}/keys/test.key", "http__base_url": base, "login__second_factor": "optional"}
    return open_rooms(settings_of.read(Path(folder), {}).with_values(**given))


async def exchanged(app: App, client: str, form: dict[str, str]) -> str:
    """The access token, or the refusal's code."""
    found = app.authority.clients.get(client)
    assert found is not None
    try:
        return (await codes.exchange(app.authority, found, form)).access_token
    except OAuthRefused as error:
        return error.error


async def _run(asked: dict[str, Any]) -> dict[str, Any]:
    app = rooms(asked["folder"], asked["base"])
    try:
        tries = (exchanged(app, asked["client"], asked["form"]) for _ in range(asked.get("times", 0)))
        known = [app.authority.tokens.caller(token) is not None for token in asked.get("tokens", [])]
        print("ready", flush=True)
        if asked.get("waits"):
            sys.stdin.readline()
            await asyncio.sleep(asked["waits"])
            known += [app.authority.tokens.caller(token) is not None for token in asked["tokens"]]
        return {"exchanged": list(await asyncio.gather(*tries)), "known": known}
    finally:
        app.database.close()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_run(json.loads(sys.argv[1])))))
