"""Value sets that exist by their URL alone, of SNOMED CT and LOINC.

https://hl7.org/fhir/R4/snomedct.html#implicit · https://hl7.org/fhir/R4/loinc.html#implicit
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from suture.standards.terminology.filters import SNOMED

LOINC = "http://loinc.org"
_SNOMED = re.compile(
    r"http://snomed\.info/sct(?P<edition>/\d{6,18}(?:/version/\d{8})?)?\?fhir_vs(?:=(?P<rule>.*))?", re.S
)
_LOINC = re.compile(r"http://loinc\.org/vs(?:/(?P<code>(?:LL|LP)\d{1,10}-\d))?")


def value_set(url: str) -> dict[str, Any] | None:
    """The value set that the URL stands for; None for any other URL."""
    snomed = _SNOMED.fullmatch(url)
    if snomed is not None:
        return _snomed(url, snomed)
    loinc = _LOINC.fullmatch(url)
    return None if loinc is None else _made(url, LOINC, "", _loinc(loinc["code"]))


def whole(url: str, system: str, version: str = "") -> dict[str, Any]:
    """All codes of a system."""
    return _made(url, system, version, None)


def _snomed(url: str, found: re.Match[str]) -> dict[str, Any] | None:
    version = f"{SNOMED}{found['edition']}" if found["edition"] and "/version/" in found["edition"] else ""
    kind, _, value = unquote(found["rule"] or "").partition("/")
    rules: dict[str, dict[str, str] | None] = {
        "": None,
        "isa": {"property": "concept", "op": "is-a", "value": value},
        "ecl": {"property": "constraint", "op": "=", "value": value},
    }
    return _made(url, SNOMED, version, rules[kind]) if kind in rules else None


def _loinc(code: str | None) -> dict[str, str] | None:
    """An answer list, a part with all below it, or everything."""
    if code is None:
        return None
    if code.startswith("LL"):
        return {"property": "LIST", "op": "=", "value": code}
    return {"property": "concept", "op": "is-a", "value": code}


def _made(url: str, system: str, version: str, rule: dict[str, str] | None) -> dict[str, Any]:
    include: dict[str, Any] = {"system": system}
    if version:
        include["version"] = version
    if rule is not None:
        include["filter"] = [rule]
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
