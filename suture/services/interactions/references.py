"""References between the entries of one transaction: each `urn:uuid:` becomes the address the entry gets.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

# Where an address of another entry may stand: references, and elements of the types uri, url, uuid, oid and canonical.
PLACES = frozenset(
    [
        "reference",
        "url",
        "uri",
        "valueUri",
        "valueUrl",
        "valueUuid",
        "valueOid",
        "valueCanonical",
        "source",
        "instantiatesUri",
        "implicitRules",
    ]
)
# What a Reference may hold; elements of other types that are called `reference` have others beside them.
REFERENCE = frozenset(
    ["reference", "type", "identifier", "display", "id", "extension", "_reference", "_type", "_display", "_id"]
)
CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")
_PLACED = re.compile(rb'(?<=[{,])("(?:%b)":")(urn:uuid:[^"\\]*)' % "|".join(sorted(PLACES)).encode())
_SIGN = re.compile(rb'"reference"\s*:\s*"[A-Z][A-Za-z]*\?')

Resolve = Callable[[str], str | None]


def rewritten(value: dict[str, Any], resolve: Resolve) -> dict[str, Any]:
    """The resource with every resolvable address replaced; the same object when nothing changed."""
    changed: dict[str, Any] = {}
    for key, inner in value.items():
        kind, new = type(inner), inner
        if kind is dict:
            new = rewritten(inner, resolve)
        elif kind is list:
            new = _list(inner, resolve)
        elif kind is str and key in PLACES:
            new = resolve(inner) or inner
        elif key == "div" and kind is str and "urn:" in inner:
            new = _narrative(inner, resolve)
        if new is not inner:
            changed[key] = new
    return {**value, **changed} if changed else value


def spelled(raw: bytes, resolve: Resolve) -> bytes | None:
    """The same over the bytes of a resource whose only addresses of entries are `urn:uuid:`; None for a narrative.

    In JSON as this server writes it a key begins right after { or a comma, and no text holds a quote without its escape.
    """
    if b'"div"' in raw:
        return None
    return _PLACED.sub(lambda m: m[1] + (resolve(m[2].decode()) or m[2].decode()).encode(), raw)


def _list(value: list[Any], resolve: Resolve) -> list[Any]:
    found = value
    for n, inner in enumerate(value):
        if type(inner) is dict:
            new = rewritten(inner, resolve)
            if new is not inner:
                found = list(value) if found is value else found
                found[n] = new
    return found


def _narrative(text: str, resolve: Resolve) -> str:
    """Links and images of a narrative."""
    return re.sub(r'(href|src)="(urn:[^"]+)"', lambda m: f'{m[1]}="{resolve(m[2]) or m[2]}"', text)


def resolver(addresses: Mapping[str, str]) -> Resolve:
    """Resolves full URLs, with a version or a fragment behind them too."""

    def resolve(text: str) -> str | None:
        found = addresses.get(text)
        if found is None and "#" in text:
            whole, _, fragment = text.partition("#")
            found = f"{addresses[whole]}#{fragment}" if whole in addresses else None
        return found

    return resolve


def may_be_conditional(raw: bytes) -> bool:
    """Whether it is worth looking for conditional references."""
    return b"?" in raw and _SIGN.search(raw) is not None


def conditional(value: Any) -> Iterator[str]:
    """Every conditional reference (`Practitioner?identifier=…`) inside a resource."""
    if isinstance(value, dict):
        reference = value.get("reference")
        if isinstance(reference, str) and value.keys() <= REFERENCE and CONDITIONAL.fullmatch(reference):
            yield reference
        for inner in value.values():
            if isinstance(inner, dict | list):
                yield from conditional(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from conditional(inner)


def met(value: Any, found: Mapping[str, str]) -> Any:
    """The value with its conditional references replaced by what they found: in References, nowhere else."""
    if isinstance(value, list):
        return [met(inner, found) for inner in value]
    if not isinstance(value, dict):
        return value
    changed = {key: met(inner, found) for key, inner in value.items()}
    reference = value.get("reference")
    if isinstance(reference, str) and value.keys() <= REFERENCE:
        changed["reference"] = found.get(reference, reference)
    return changed
