"""Under which names people know this house, and where apps find its records: the User-Access Brands bundle (SMART App Launch 2.2).

https://hl7.org/fhir/smart-app-launch/brands.html · 45 CFR 170.404(b)(2). Written in brands.yaml, see docs/apps.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from suture import yaml
from suture.clock import instant
from suture.errors import Issue, Problems
from suture.standards.fhir import validate

FILE = "brands.yaml"
KIND = "brands/1"
_URN = "urn:ietf:rfc:3986"
_TYPES = "http://terminology.hl7.org/CodeSystem/organization-type"
# what a brand offers -> how it is displayed
CATEGORIES = {
    "prov": "Healthcare Provider",
    "ins": "Insurance Company",
    "laboratory": "Laboratory",
    "imaging": "Imaging Center",
    "pharmacy": "Pharmacy",
    "health-information-network": "Health Information Network",
    "health-data-aggregator": "Health Data Aggregator",
}
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")
_TOP = {"suture": str, "developers": str, "primary": str, "brands": list}
_BRAND = {
    "id": str, "name": str, "website": str, "identifiers": list, "aliases": list, "categories": list, "logo": str,
    "logo_license": str, "addresses": list, "part_of": str, "portal": dict,
}  # fmt: skip
_PORTAL = {"name": str, "description": str, "url": str, "logo": str, "logo_license": str}
_ADDRESS = {"line": list, "city": str, "state": str, "postalCode": str, "country": str}
_KINDS: dict[type, str] = {str: "a text", list: "a list", dict: "a table"}
_MEND = "docs/apps.md shows a whole file."


@dataclass(frozen=True, slots=True)
class Brands:
    """The bundle as it is served, and the identifier of the primary brand in it."""

    body: bytes
    etag: bytes
    identifier: Mapping[str, str]


def read(folder: Path, base: str) -> Brands | None:
    """The brands of a project folder, None when it names none; raises InvalidFile with line and column.

    `base` is this server's address without a path.
    """
    file = folder / FILE
    if not file.exists():
        return None
    return made(file.read_text(encoding="utf-8", errors="replace"), str(file), base, int(file.stat().st_mtime * 1e6))


def made(text: str, file: str, base: str, changed: int) -> Brands:
    """The bundle that a file's text means; `changed` is when it was written."""
    problems = Problems(file)
    said = yaml.load(text, file)
    _check(said, problems)
    problems.raise_if_any()
    plain = yaml.plain(said)
    brands: list[dict[str, Any]] = plain["brands"]
    resources = [_endpoint(plain, base), *(_organization(one) for one in brands)]
    for place, resource in enumerate(resources):
        _require_valid(resource, said, place, problems)
    problems.raise_if_any()
    body = orjson.dumps(_bundle(resources, base, instant(changed)))
    first = plain.get("primary") or brands[0]["id"]
    primary = next(one for one in brands if one["id"] == first)
    return Brands(body, b'W/"' + hashlib.sha256(body).hexdigest()[:16].encode() + b'"', _identifiers(primary)[0])


def _bundle(resources: list[dict[str, Any]], base: str, changed: str) -> dict[str, Any]:
    stamped = [{**one, "meta": {"lastUpdated": changed}} for one in resources]
    return {
        "resourceType": "Bundle",
        "id": "brands",
        "meta": {"lastUpdated": changed},
        "type": "collection",
        "timestamp": changed,
        "entry": [{"fullUrl": f"{base}/brands/{one['resourceType']}/{one['id']}", "resource": one} for one in stamped],
    }


def _endpoint(said: Mapping[str, Any], base: str) -> dict[str, Any]:
    return {
        "resourceType": "Endpoint",
        "id": "fhir-r4",
        "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/endpoint-fhir-version", "valueCode": "4.0.1"}],
        "status": "active",
        "connectionType": {
            "system": "http://terminology.hl7.org/CodeSystem/endpoint-connection-type",
            "code": "hl7-fhir-rest",
        },
        "name": f"FHIR R4 endpoint of {said['brands'][0]['name']}",
        "contact": [{"system": "url", "value": said["developers"]}],
        "payloadType": [
            {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/endpoint-payload-type", "code": "none"}]}
        ],
        "address": f"{base}/fhir",
    }


_HERE = {"reference": "Endpoint/fhir-r4"}


def _organization(one: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Organization",
        "id": one["id"],
        "extension": [*_branding(one), _portal(one.get("portal") or {})],
        "identifier": _identifiers(one),
        "active": True,
        "type": [
            {"coding": [{"system": _TYPES, "code": code, "display": CATEGORIES[code]}]}
            for code in one.get("categories") or ("prov",)
        ],
        "name": one["name"],
        "alias": one.get("aliases"),
        "telecom": [{"system": "url", "value": one["website"]}],
        "address": one.get("addresses"),
        "partOf": {"reference": f"Organization/{one['part_of']}"} if one.get("part_of") else None,
        "endpoint": [_HERE],
    }
    return {name: value for name, value in made.items() if value}


def _branding(one: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = _parts(
        {"brandLogo": ("valueUrl", one.get("logo")), "brandLogoLicense": ("valueUrl", one.get("logo_license"))}
    )
    return [{"extension": parts, "url": "http://hl7.org/fhir/StructureDefinition/organization-brand"}] if parts else []


def _portal(said: Mapping[str, Any]) -> dict[str, Any]:
    parts = _parts(
        {
            "portalName": ("valueString", said.get("name")),
            "portalDescription": ("valueMarkdown", said.get("description")),
            "portalUrl": ("valueUrl", said.get("url")),
            "portalLogo": ("valueUrl", said.get("logo")),
            "portalLogoLicense": ("valueUrl", said.get("logo_license")),
            "portalEndpoint": ("valueReference", _HERE),
        }
    )
    return {"extension": parts, "url": "http://hl7.org/fhir/StructureDefinition/organization-portal"}


def _parts(said: Mapping[str, tuple[str, Any]]) -> list[dict[str, Any]]:
    return [{"url": url, kind: value} for url, (kind, value) in said.items() if value]


def _identifiers(one: Mapping[str, Any]) -> list[dict[str, str]]:
    """As written, or the web address without www. and path (as SMART recommends)."""
    written: list[dict[str, str]] = one.get("identifiers") or []
    host = (urlsplit(one["website"]).hostname or "").removeprefix("www.")
    return written or [{"system": _URN, "value": f"https://{host}"}]


def _check(said: Any, problems: Problems) -> None:
    """Whether the file has what a bundle needs; what FHIR says of the values is asked of the validator."""
    if not isinstance(said, dict) or said.get("suture") != KIND:
        problems.add(yaml.at(said), f"it does not begin with 'suture: {KIND}'", _MEND)
        return
    _fields(said, _TOP, ("developers", "brands"), problems)
    brands = said.get("brands")
    if not isinstance(brands, list) or not brands:
        problems.add(yaml.at(said, "brands"), "'brands' lists one brand or more", _MEND)
        return
    for place, one in enumerate(brands):
        if isinstance(one, dict):
            _check_brand(one, problems)
        else:
            problems.add(yaml.at(brands, place), "a brand is a table", _MEND)
    if not problems.errors:
        _check_names(said, problems)


def _check_brand(one: Any, problems: Problems) -> None:
    _fields(one, _BRAND, ("id", "name", "website"), problems)
    if isinstance(one.get("id"), str) and not _ID.fullmatch(one["id"]):
        problems.add(yaml.value_at(one, "id"), "an id has letters, digits, '-' and '.'", _MEND)
    if isinstance(one.get("portal"), dict):
        _fields(one["portal"], _PORTAL, (), problems)
    for address in one["addresses"] if isinstance(one.get("addresses"), list) else ():
        _fields(address, _ADDRESS, (), problems)
    for code in one["categories"] if isinstance(one.get("categories"), list) else ():
        if code not in CATEGORIES:
            problems.add(yaml.at(one, "categories"), "no such category", f"One of: {', '.join(CATEGORIES)}.")


def _check_names(said: Any, problems: Problems) -> None:
    ids = [one["id"] for one in said["brands"]]
    if len(set(ids)) != len(ids):
        problems.add(yaml.at(said, "brands"), "two brands have one id", _MEND)
    for node, name in ((said, "primary"), *((one, "part_of") for one in said["brands"])):
        if node.get(name) and node[name] not in ids:
            problems.add(yaml.value_at(node, name), "no brand has this id", f"There are: {', '.join(ids)}.")
    seen = [tuple(sorted(found.items())) for one in said["brands"] for found in _identifiers(yaml.plain(one)) if isinstance(found, dict)]  # fmt: skip
    if len(set(seen)) != len(seen):
        problems.add(yaml.at(said, "brands"), "two brands have one identifier", "Give each its own under identifiers.")


def _fields(node: Any, known: Mapping[str, type], needed: tuple[str, ...], problems: Problems) -> None:
    if not isinstance(node, dict):
        problems.add(yaml.at(node), "a table is needed here", _MEND)
        return
    for name, value in node.items():
        if name not in known:
            problems.add(yaml.at(node, name), f"no field named '{name}'", f"There are: {', '.join(known)}.")
        elif not isinstance(value, known[name]) or not value:
            problems.add(yaml.value_at(node, name), f"'{name}' is {_KINDS[known[name]]}", _MEND)
    for name in needed:
        if name not in node:
            problems.add(yaml.at(node), f"'{name}' is missing", _MEND)
    for name in ("website", "developers", "url", "logo", "logo_license"):
        value = node.get(name)
        if isinstance(value, str) and name in known and not value.startswith(("https://", "data:image/")):
            problems.add(yaml.value_at(node, name), f"'{name}' is an https address", _MEND)


def _require_valid(resource: Mapping[str, Any], said: Any, place: int, problems: Problems) -> None:
    node = said["brands"][place - 1] if place else said
    for issue in validate.check(dict(resource)):
        if issue.severity in ("error", "fatal"):
            problems.add(yaml.at(node), _told(issue), _MEND)


def _told(issue: Issue) -> str:
    return f"{issue.expression}: {issue.text}" if issue.expression else issue.text
