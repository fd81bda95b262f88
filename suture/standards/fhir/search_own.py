"""Reads a SearchParameter resource into something that can be indexed: https://hl7.org/fhir/R4/searchparameter.html"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from suture.errors import InvalidResource, InvalidSyntax
from suture.standards.fhir.definitions import RESOURCE_TYPES, SearchParameter, r4_search_parameters
from suture.standards.fhir.index_atoms import PARTS, leaf_types
from suture.standards.fhir.index_paths import Path, paths
from suture.standards.fhir.index_taken import TAKEN

KINDS = ("token", "string", "reference", "date", "number", "quantity", "uri")
MOST_BASES, MOST_BRANCHES, LONGEST = 20, 20, 4000
_CODE = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
_SPLIT = re.compile(r"\s*\|\s*(?=(?:[^']*'[^']*')*[^']*$)")
_UNDERSTOOD = "Write paths such as Patient.contact.name.family, joined with |, with as(…), ofType(…), extension('…'), where(x = '…')."


@dataclass(frozen=True, slots=True)
class Definition:
    """What of a SearchParameter matters: how it is called, what kind it is, its expression for each resource type."""

    url: str
    code: str
    kind: str
    expressions: dict[str, str]
    targets: tuple[str, ...] = ()

    def parameter(self, type: str, *, built: bool) -> SearchParameter:
        """The search parameter of one of its types."""
        return SearchParameter(
            self.code, self.kind, self.expressions[type], self.url, self.targets, own=True, built=built
        )

    def written(self) -> dict[str, Any]:
        return asdict(self)


def read(resource: dict[str, Any]) -> Definition | None:
    """None when it is not active, or is one of R4's own. Raises InvalidResource when it can't be put to work."""
    if resource.get("status") != "active":
        return None
    if any(_is_r4s(resource, str(type)) for type in resource.get("base", ())):
        return None
    code, kind, bases = _code(resource), _kind(resource), _bases(resource)
    for type in bases:
        if code in r4_search_parameters(type):
            raise _wrong("code", f"{type} has a search parameter '{code}' already", "Choose another code.")
    expressions = {type: _expression(resource, type, kind) for type in bases}
    return Definition(str(resource.get("url", "")), code, kind, expressions, _targets(resource, expressions))


def _wrong(element: str, text: str, mend: str) -> InvalidResource:
    return InvalidResource(text, where=f"SearchParameter.{element}", mend=mend)


def _code(resource: dict[str, Any]) -> str:
    code = str(resource.get("code", ""))
    if not _CODE.fullmatch(code):
        raise _wrong("code", "a code has letters, digits and minus, and begins with a letter", "Write such as race.")
    return code


def _kind(resource: dict[str, Any]) -> str:
    kind = str(resource.get("type", ""))
    if kind not in KINDS:
        raise _wrong("type", f"a parameter of type {kind} can't be added", f"One of {', '.join(KINDS)}.")
    return kind


def _bases(resource: dict[str, Any]) -> tuple[str, ...]:
    bases = tuple(dict.fromkeys(map(str, resource.get("base", ()))))
    if not bases or len(bases) > MOST_BASES or not set(bases) <= RESOURCE_TYPES - {"AuditEvent"}:
        raise _wrong("base", "not resource types that can be searched", f"Name 1 to {MOST_BASES} concrete types.")
    return bases


def _is_r4s(resource: dict[str, Any], type: str) -> bool:
    """R4's own parameter, or what a guide derives from it: that is here already."""
    standard = r4_search_parameters(type).get(str(resource.get("code", "")))
    return standard is not None and standard.url in (resource.get("url"), resource.get("derivedFrom"))


def _targets(resource: dict[str, Any], expressions: dict[str, str]) -> tuple[str, ...]:
    if resource.get("type") != "reference":
        return ()
    named = tuple(dict.fromkeys(map(str, resource.get("target", ()))))
    if not set(named) <= RESOURCE_TYPES:
        raise _wrong("target", "not resource types", "Name the types that the reference may lead to.")
    asked = {p.resolves for type, text in expressions.items() for p in paths(text, type) if p.resolves}
    return tuple(t for t in named if t in asked) or tuple(sorted(asked)) if asked else named


# --- the expression


def _expression(resource: dict[str, Any], type: str, kind: str) -> str:
    """The branches that are about the type; raises when nothing of it can be indexed."""
    text = str(resource.get("expression", ""))
    if not text.strip() or len(text) > LONGEST:
        raise _wrong("expression", f"an expression of at most {LONGEST} characters is needed", _UNDERSTOOD)
    branches = [branch for branch in _SPLIT.split(text.strip()) if _about(branch) in ("", type)]
    if not branches or len(branches) > MOST_BRANCHES:
        raise _wrong("expression", f"1 to {MOST_BRANCHES} branches about {type} are needed", f"Begin with {type}.")
    joined = " | ".join(" ".join(branch.split()) for branch in branches)
    for path in _read(joined, type):
        _require_comparable(path, type, kind)
    return joined


def _about(branch: str) -> str:
    """The resource type that a branch begins with; '' when it begins with an element."""
    first = re.match(r"\(*\s*([A-Za-z]+)", branch)
    name = first[1] if first else ""
    return name if name in RESOURCE_TYPES else ""


def _read(text: str, type: str) -> tuple[Path, ...]:
    try:
        found = paths(text, type)
    except (InvalidSyntax, IndexError, KeyError, ValueError, AttributeError) as error:
        raise _wrong("expression", "this expression can't be indexed", _UNDERSTOOD) from error
    if not found or any(path.root or not path.steps for path in found):
        raise _wrong("expression", "this expression can't be indexed", _UNDERSTOOD)
    return found


def _require_comparable(path: Path, type: str, kind: str) -> None:
    leaves = (*_leaves(path, type),)
    if not leaves:
        raise _wrong("expression", f"nothing of {type} is reached by {path}"[:300], _UNDERSTOOD)
    taken = {leaf for leaf in leaves if (kind, leaf) in TAKEN or (kind == "string" and leaf in PARTS)}
    if path.exists:
        taken = set(leaves) if kind == "token" else set()
    if not taken:
        shown = ", ".join(sorted(leaves)[:5])
        raise _wrong(
            "type", f"a {kind} parameter can't be compared with {shown}", "Choose the type that fits the values."
        )


def _leaves(path: Path, type: str) -> Iterator[str]:
    try:
        yield from leaf_types(type, path)
    except (KeyError, AttributeError):
        return
