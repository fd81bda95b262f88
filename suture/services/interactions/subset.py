"""A part of a resource, marked SUBSETTED: `_elements` and `_summary` (https://hl7.org/fhir/R4/search.html#summary)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from suture.standards.fhir import json
from suture.standards.fhir.definitions import type_definition

_TAG = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_ALWAYS = {"resourceType", "id", "meta"}

Cut = Callable[[bytes, str], bytes]


def whole(body: bytes, type: str) -> bytes:
    return body


def cutter(summary: str, elements: tuple[str, ...]) -> Cut:
    """What to do with each body; `whole` when all of it was asked for."""
    if elements:
        return lambda body, type: cut(body, _with_mandatory(type, elements))
    if summary in ("true", "text", "data"):
        return lambda body, type: cut(body, _summary(type, summary))
    return whole


def cut(body: bytes, names: frozenset[str]) -> bytes:
    """The body with these top-level members only, and the mark that says so; of what can't be read there is none."""
    if not body:
        return body
    resource = json.read(body)
    kept: dict[str, Any] = {k: v for k, v in resource.items() if k in _ALWAYS or k.removeprefix("_") in names}
    meta = dict(kept.get("meta", {}))
    meta["tag"] = [*(t for t in meta.get("tag", []) if t.get("code") != "SUBSETTED"), _TAG]
    kept["meta"] = meta
    return json.write(kept)


@lru_cache(maxsize=1024)
def _with_mandatory(type: str, elements: tuple[str, ...]) -> frozenset[str]:
    return _keys(type, lambda name, low, summary: low > 0 or name in elements)


@lru_cache(maxsize=1024)
def _summary(type: str, summary: str) -> frozenset[str]:
    rules: dict[str, Callable[[str, int, bool], bool]] = {
        "true": lambda name, low, marked: marked or low > 0,
        "text": lambda name, low, marked: name == "text" or low > 0,
        "data": lambda name, low, marked: name != "text",
    }
    return _keys(type, rules[summary])


def _keys(type: str, wanted: Callable[[str, int, bool], bool]) -> frozenset[str]:
    definition = type_definition(type)
    if definition is None:
        return frozenset()
    return frozenset(key for key, (e, _) in definition.keys.items() if wanted(e.name, e.min, e.summary))
