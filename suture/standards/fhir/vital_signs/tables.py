"""The profiles as they are inside, read from their table (https://hl7.org/fhir/R4/observation-vitalsigns.html#profiles)."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from suture.standards.fhir.profiles import rules
from suture.standards.fhir.profiles.quick import Quick
from suture.standards.fhir.profiles.quick_binding import remembered
from suture.standards.fhir.profiles.rules import BASE, Profile
from suture.standards.terminology.collected import Collected

VERSION = "4.0.1"
URLS = tuple(
    BASE + name
    for name in (
        "vitalsigns", "vitalspanel", "resprate", "heartrate", "oxygensat", "bodytemp", "bodyheight", "headcircum",
        "bodyweight", "bmi", "bp",
    )
)  # fmt: skip


@cache
def _read() -> dict[str, Profile]:
    raw = (files("suture.standards.fhir.vital_signs") / "profiles.jsonl").read_text(encoding="utf-8")
    return {row[0]: rules.read(_definition(row)) for row in map(json.loads, raw.splitlines())}


def _definition(row: list[Any]) -> dict[str, Any]:
    """The row as a StructureDefinition, as far as rules are read from one."""
    url, type, base, elements = row
    snapshot = {"element": [{"id": id, **asked} for id, asked in elements]}
    return {"url": url, "version": VERSION, "type": type, "baseDefinition": base, "snapshot": snapshot}


def profile(url: str) -> Profile | None:
    """The profile with this canonical; None for others and for other versions."""
    plain, _, version = url.partition("|")
    return _read().get(plain) if plain in URLS and version in ("", VERSION) else None


member_of = remembered(Collected(()).member_of)  # R4's value sets never change
QUICK = Quick(profile, member_of)
