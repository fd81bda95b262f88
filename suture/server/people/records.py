"""Finds a patient's record by id or record number, as far as the person who asks may see it."""

from __future__ import annotations

from suture.errors import Invalid
from suture.server.route import Request
from suture.standards.fhir import json
from suture.store import resources


async def id_of(request: Request, given: str) -> str:
    """The id that was given, or that of the record number; what fits nothing comes back as it is. Raises Invalid for several."""
    text = given.strip().removeprefix("Patient/")
    if not text or resources.read(request.site.database.read, "Patient", text) is not None:
        return text
    answer = await request.site.interactions.search(request.caller, "Patient", [("identifier", text), ("_count", "2")])
    found = [str(entry["resource"]["id"]) for entry in json.read(answer.body).get("entry", [])]
    if len(found) > 1:
        raise Invalid("several patients have this number", where="patient", mend="Write system|value, or the id.")
    return found[0] if found else text
