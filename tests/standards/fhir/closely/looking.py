"""Says what the close look finds, short: place and text of each error."""

from __future__ import annotations

from typing import Any

from suture.standards.fhir.closely import Around, look


def errors(resource: dict[str, Any], around: Around | None = None) -> list[tuple[str, str]]:
    return [(one.expression, one.text) for one in look(resource, around) if one.severity == "error"]


def bundle(type: str, *entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": type, "entry": list(entries), **more}


def entry(url: str, type: str, id: str = "", **more: Any) -> dict[str, Any]:
    return {"fullUrl": url, "resource": {"resourceType": type, **({"id": id} if id else {}), **more}}
