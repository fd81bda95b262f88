"""The CapabilityStatement, generated from the interactions and search parameters that are really there.

https://hl7.org/fhir/R4/capabilitystatement.html
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from suture import __version__
from suture.clock import instant
from suture.services.audit.event import TYPE as MADE
from suture.services.interactions.trail import INTERACTIONS
from suture.services.interactions.us_core import GUIDE, SERVER, VERSIONS, profiles
from suture.services.operations.operation import Operation
from suture.services.operations.table import on_system, on_type
from suture.standards.fhir import json, search, subscription
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter, search_parameters
from suture.standards.fhir.index_compartment import OWNERS

# What Interactions offers on each type and on the whole; the tests call every one of them.
ON_TYPES = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
ON_SYSTEM = ("transaction", "batch", "search-system", "history-system")
FORMATS = ("json", "application/fhir+json", "xml", "application/fhir+xml")
PATCH_FORMATS = (
    "application/json-patch+json",
    "application/xml-patch+xml",
    "application/fhir+json",
    "application/fhir+xml",
)
INSTANTIATES = ("http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data", SERVER)
FHIR_VERSION = "4.0.1"
OAUTH_URIS = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
COMPARTMENT = "http://hl7.org/fhir/CompartmentDefinition/"
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
SERVICES = "http://terminology.hl7.org/CodeSystem/restful-security-service"


# what R4 leaves to servers about Patient.link (https://hl7.org/fhir/R4/patient-definitions.html#Patient.link)
_LINKS = {
    "Patient": {
        "documentation": "Linked records are all kept. A read or search by a replaced Patient's id gives what stands under that id; "
        "$everything of a Patient takes along the records it replaces or names with seealso, where they name it, too. A "
        "registrar links, or takes apart, what may be one person's; merges of feeds (A40) are written the same way."
    }
}


@lru_cache(maxsize=4)
def statement(
    base: str,
    started: int,
    own: str = "",
    text: tuple[str, ...] = (),
    topics: tuple[str, ...] = (),
    channels: tuple[str, ...] = (),
) -> bytes:
    """The statement as bytes; `started`: when this server's abilities began; `own`: which search parameters of its own it has, `text`: of full text."""
    return json.write(
        {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "date": instant(started),
            "publisher": "Suture",
            "kind": "instance",
            "software": {"name": "Suture", "version": __version__},
            "implementation": {"description": "Suture", "url": base},
            "instantiates": list(INSTANTIATES),
            "implementationGuide": [f"{GUIDE}|{version}" for version in VERSIONS],
            "fhirVersion": FHIR_VERSION,
            "format": list(FORMATS),
            "patchFormat": list(PATCH_FORMATS),
            "rest": [_rest(base, text, topics, channels)],
        }
    )


def _rest(base: str, text: tuple[str, ...], topics: tuple[str, ...], channels: tuple[str, ...]) -> dict[str, Any]:
    sources = _sources()
    return {
        **({"extension": [{"url": WEBSOCKET, "valueUri": _websocket(base)}]} if topics else {}),
        "mode": "server",
        "security": _security(base.removesuffix("/fhir")),
        "resource": [
            _resource(name, sources, text) | _subscribed(name, topics, channels) | _LINKS.get(name, {})
            for name in sorted(RESOURCE_TYPES)
        ],
        "interaction": [{"code": code} for code in ON_SYSTEM],
        "searchParam": [*_listed("Resource", text), *_parameters("Resource")],
        "compartment": [f"{COMPARTMENT}{owner[0].lower()}{owner[1:]}" for owner in OWNERS],
        **_operations(on_system()),
    }


def _operations(found: Iterable[Operation]) -> dict[str, list[dict[str, str]]]:
    rows = [{"name": o.name, "definition": o.definition} for o in found]
    return {"operation": rows} if rows else {}


def _security(server: str) -> dict[str, Any]:
    """Where apps are let in, as SMART 1 said it; SMART 2 reads .well-known/smart-configuration."""
    addresses = [
        {"url": name, "valueUri": f"{server}/auth/{name}"} for name in ("authorize", "token", "introspect", "revoke")
    ]
    return {
        "extension": [{"url": OAUTH_URIS, "extension": addresses}],
        "cors": True,
        "service": [{"coding": [{"system": SERVICES, "code": "SMART-on-FHIR"}], "text": "OAuth2 with SMART-on-FHIR"}],
        "description": "SMART App Launch 2.2, backend services, or a bearer key; scopes decide.",
    }


def _made() -> dict[str, Any]:
    """AuditEvents are made from the audit trail."""
    return {
        "type": MADE,
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "no-version",
        "searchParam": _parameters(MADE),
    }


def _resource(name: str, sources: dict[str, list[str]], text: tuple[str, ...]) -> dict[str, Any]:
    if name == MADE:
        return _made()
    found = {
        "type": name,
        "supportedProfile": profiles(name),
        "interaction": [{"code": code} for code in ON_TYPES],
        "versioning": "versioned",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "resolves", "local"],
        "searchInclude": ["*", *(f"{name}:{code}" for code in _followed(name))],
        "searchRevInclude": ["*", *sources.get(name, [])],
        "searchParam": [*_listed(name, text), *_parameters(name)],
        **_operations(on_type(name)),
    }
    return {key: value for key, value in found.items() if value != []}


def _subscribed(name: str, topics: tuple[str, ...], channels: tuple[str, ...]) -> dict[str, Any]:
    """What a Subscription can be about."""
    if name != subscription.TYPE or not topics:
        return {}
    url = subscription.IG + "capabilitystatement-subscriptiontopic-canonical"
    return {
        "extension": [{"url": url, "valueCanonical": topic} for topic in topics],
        "supportedProfile": [subscription.PROFILE],
        "documentation": f"Channels: {', '.join(channels)}. The criteria is a topic listed here, or a search of one type.",
    }


def _websocket(base: str) -> str:
    """Where a websocket of subscriptions is opened."""
    return "ws" + base.removeprefix("http").removesuffix("/fhir") + "/ws/subscriptions"


def _listed(name: str, text: tuple[str, ...]) -> list[dict[str, str]]:
    """What is no parameter of the index itself: `_filter`, `_list`, and full text as far as it is kept."""
    there = search_parameters(name)
    found = [(code, "string") for code in text if code in there]
    return [{"name": code, "type": kind} for code, kind in (*found, ("_filter", "special"), ("_list", "special"))]


def _parameters(name: str) -> list[dict[str, str]]:
    rows = []
    for code, kind in sorted(search.searchable(name).items()):
        known = search_parameter(name, code)
        row = {"name": code, "type": kind}
        if known is not None and known.url:
            row["definition"] = known.url
        rows.append(row)
    return rows


def _followed(name: str) -> list[str]:
    """The reference parameters that includes can follow."""
    return [code for code, kind in search.searchable(name).items() if kind == "reference"]


def _sources() -> dict[str, list[str]]:
    """Target type -> the reference parameters that can lead to it."""
    found: dict[str, list[str]] = {}
    for name in sorted(RESOURCE_TYPES):
        for code in _followed(name):
            known = search_parameter(name, code)
            for target in known.targets if known is not None else ():
                found.setdefault(target, []).append(f"{name}:{code}")
    return found
