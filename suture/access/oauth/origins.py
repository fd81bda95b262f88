"""The web origins of registered apps, whose pages may call the FHIR API and the token endpoint from a browser.

https://hl7.org/fhir/smart-app-launch/app-launch.html#considerations-for-cross-origin-resource-sharing-cors-support
"""

from __future__ import annotations

from urllib.parse import urlsplit

from suture.clock import Clock
from suture.settings import Settings
from suture.store import apps
from suture.store.apps import APPROVED
from suture.store.database import Database


class Origins:
    """Read anew after `session.recheck`, so that an ended app's pages stop, too."""

    def __init__(self, database: Database, clock: Clock, settings: Settings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._known: tuple[float, frozenset[str]] = (-1.0, frozenset())

    def __contains__(self, origin: object) -> bool:
        now = self._clock.monotonic()
        if self._known[0] < now:
            self._known = (now + float(self._settings["session.recheck"]), self._read())
        return origin in self._known[1]

    def _read(self) -> frozenset[str]:
        found = apps.find(self._database.read, status=APPROVED)
        return frozenset(o for app in found for uri in (*app.redirect_uris, app.launch_url) if (o := origin_of(uri)))


def origin_of(address: str) -> str:
    """Scheme, host and port of a web address, as browsers write an origin; empty for any other address."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, usual) else "")
