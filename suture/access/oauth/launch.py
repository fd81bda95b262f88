"""Opening an app from our pages: the app gets an opaque word, and with it, once, who is open here (SMART, EHR launch).

https://hl7.org/fhir/smart-app-launch/app-launch.html#launch-app-ehr-launch
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from suture.access.oauth.authority import Authority
from suture.access.oauth.authorize import safe
from suture.access.oauth.errors import OAuthRefused
from suture.crypto import new_token
from suture.errors import Invalid
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store import apps, audit, launches
from suture.store.apps import APPROVED, OAuthClient
from suture.store.connection import Tx
from suture.store.launches import Launch

_REFERENCE = re.compile(r"([A-Z][A-Za-z]+)/[A-Za-z0-9.-]{1,64}")
_INTENT = re.compile(r"[A-Za-z0-9._~:/-]{1,100}")
MOST_CONTEXT = 10


@dataclass(frozen=True, slots=True)
class Open:
    """What is open in the browser of whoever opens an app; `also`: references to what else is."""

    patient: str = ""
    encounter: str = ""
    also: tuple[str, ...] = ()
    intent: str = ""
    banner: bool = True  # whether the app must show whose record it is

    def context(self) -> dict[str, Any]:
        """As the token answer says it; `patient` apart, since the grant holds it."""
        found: dict[str, Any] = {"patient": self.patient, "need_patient_banner": self.banner}
        if self.encounter:
            found["encounter"] = self.encounter
        if self.also:
            found["fhirContext"] = [{"reference": one} for one in self.also]
        if self.intent:
            found["intent"] = self.intent
        return found


def read(given: Mapping[str, str]) -> Open:
    """What a form says is open; raises Invalid for what can't be said to an app."""
    also = tuple(dict.fromkeys(given.get("also", "").replace(",", " ").split()))
    for one in also:
        found = _REFERENCE.fullmatch(one)
        if not found or found[1] not in RESOURCE_TYPES or found[1] in ("Patient", "Encounter"):
            raise Invalid("not a reference to a resource", where="also", mend="Write Type/id, such as ImagingStudy/7.")
    if len(also) > MOST_CONTEXT:
        raise Invalid(f"more than {MOST_CONTEXT} references", where="also")
    intent = given.get("intent", "").strip()
    if intent and not _INTENT.fullmatch(intent):
        raise Invalid("not an intent", where="intent", mend="Write the word the app's maker named.")
    banner = given.get("banner", "") != "no"
    return Open(given.get("patient", ""), given.get("encounter", ""), also, intent, banner)


def launchable(authority: Authority) -> list[OAuthClient]:
    """The apps that can be opened from here."""
    found = apps.find(authority.database.read, status=APPROVED)
    return sorted((one for one in found if one.launch_url and safe(one.launch_url)), key=lambda one: one.name.lower())


async def begin(authority: Authority, client: OAuthClient, user: str, open_now: Open, address: str = "") -> str:
    """Where the browser goes: the app's registered launch address with `iss` and a `launch` that counts once."""
    token = new_token()
    kept = Launch(client.id, user, open_now.context())

    def unit(tx: Tx) -> None:
        now = apps.get(tx, client.id)
        if now is None or not now.approved or now.launch_url != client.launch_url or not safe(client.launch_url):
            raise OAuthRefused("access_denied", "this app can't be opened from here any more")
        launches.create(tx, token, kept, authority.settings["oauth.launch_life"])
        patient = f"Patient/{open_now.patient}" if open_now.patient else ""
        row = audit.AuditRow(f"user:{user}", "launch", patient=patient, address=address, client=client.id)
        audit.append(tx, row)

    await authority.database.write(unit)
    told = urlencode({"iss": authority.issuer, "launch": token})
    return f"{client.launch_url}{'&' if '?' in client.launch_url else '?'}{told}"
