"""What a definition of an extension says: where it may stand and what it holds (https://hl7.org/fhir/R4/defining-extensions.html)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, reduce
from typing import Any

from suture.errors import InvalidResource
from suture.standards.fhir import profiles, us_core
from suture.standards.fhir.definitions import extension_row
from suture.standards.fhir.profiles.rules import Rule


@dataclass(frozen=True, slots=True)
class Shape:
    """What it holds. No types: no value; `inner` None: whatever extensions."""

    types: tuple[str, ...] | None = None  # None: any
    inner: dict[str, tuple[int, int | None, Shape]] | None = None  # url -> least, most, what that holds


@dataclass(frozen=True, slots=True)
class Defined:
    """One extension, by its canonical."""

    url: str
    modifier: bool = False
    contexts: tuple[tuple[str, str], ...] = ()  # element, extension or fhirpath; expression
    rules: tuple[str, ...] = ()  # FHIRPath that must hold of the element it stands in
    shape: Shape = field(default_factory=Shape)


def row(definition: dict[str, Any]) -> list[Any]:
    """A StructureDefinition of an extension as one row of a table; raises InvalidResource for one that can't be read."""
    profile = profiles.read(definition)
    first = definition.get("snapshot", definition.get("differential", {}))["element"][0]
    contexts = [[str(c.get("type", "element")), str(c.get("expression", ""))] for c in definition.get("context", [])]
    rules = [str(rule) for rule in definition.get("contextInvariant", [])]
    modifier = int(bool(first.get("isModifier")) and "." not in first.get("path", ""))
    return [profile.url, modifier, contexts, rules, _shape(profile.root)]


def _shape(rule: Rule) -> list[Any]:
    value, inner = rule.children.get("value"), rule.children.get("extension")
    types = None if value is None else [] if value.max == 0 else [one.code for one in value.types if one.code] or None
    if inner is None or (inner.max != 0 and not inner.slices):
        return [types, None]
    return [types, {_url(name, one): [one.min, one.max, _shape(one)] for name, one in inner.slices.items()}]


def _url(name: str, rule: Rule) -> str:
    """The url of a child: it is fixed, or a profile of its own tells it."""
    url = rule.children.get("url")
    if url is not None and url.fixed is not None:
        return str(url.fixed)
    return next((profile.partition("|")[0] for type in rule.types for profile in type.profiles), name)


def defined(found: list[Any]) -> Defined:
    """The row, as it is used."""
    url, modifier, contexts, rules, shape = found
    return Defined(url, bool(modifier), tuple((kind, text) for kind, text in contexts), tuple(rules), _read(shape))


def _read(shape: list[Any]) -> Shape:
    types, inner = shape
    children = None if inner is None else {url: (least, most, _read(one)) for url, (least, most, one) in inner.items()}
    return Shape(None if types is None else tuple(types), children)


@lru_cache(1000)
def of_r4(url: str) -> Defined | None:
    """An extension that R4 itself defines."""
    found = extension_row(url)
    return None if found is None else defined(found)


@lru_cache(200)
def of_us_core(url: str) -> Defined | None:
    """What an extension of US Core holds in any of its versions; its places are not inside."""
    if not url.startswith(us_core.URL) or "|" in url:
        return None
    found = [us_core.profile(f"{url}|{version}") for version in us_core.VERSIONS]
    shapes = [_read(_shape(one.root)) for one in found if one is not None and one.type == "Extension"]
    return Defined(url, shape=reduce(_either, shapes)) if shapes else None


def _either(one: Shape, other: Shape) -> Shape:
    """What fits one of two fits this."""
    types = None if None in (one.types, other.types) else tuple({*(one.types or ()), *(other.types or ())})
    if one.inner is None or other.inner is None:
        return Shape(types, None)
    inner = {}
    for url in {**one.inner, **other.inner}:
        rows = [found[url] for found in (one.inner, other.inner) if url in found]
        most = [row[1] for row in rows]
        least = min(row[0] for row in rows) if len(rows) == 2 else 0
        top = None if None in most else max(one for one in most if one is not None)
        inner[url] = (least, top, reduce(_either, (row[2] for row in rows)))
    return Shape(types, inner)


_KEPT = 500  # definitions at hand that are remembered as they were read
_read_ones: dict[
    int, tuple[dict[str, Any], Defined | None]
] = {}  # with the very object, so that its mark stays its own


def read(definition: dict[str, Any]) -> Defined | None:
    """The same of a StructureDefinition at hand, that nobody changes; None when it defines no extension or can't be read."""
    kept = _read_ones.get(id(definition))
    if kept is not None and kept[0] is definition:
        return kept[1]
    if len(_read_ones) >= _KEPT:
        _read_ones.clear()
    found = _fresh(definition)
    _read_ones[id(definition)] = (definition, found)
    return found


def _fresh(definition: dict[str, Any]) -> Defined | None:
    if definition.get("type") != "Extension" or definition.get("derivation") == "specialization":
        return None
    try:
        return defined(row(definition))
    except (InvalidResource, KeyError, IndexError, AttributeError, TypeError, ValueError):
        return None
