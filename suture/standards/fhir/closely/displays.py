"""The display of a code is one that its code system gives it: https://hl7.org/fhir/R4/datatypes.html#Coding

Case, blanks and hyphens don't count, and a display that was cut short is taken as that. Other languages are let pass:
designations in them are seldom at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import text
from suture.standards.fhir.closely.rule import Rule, error, warning
from suture.standards.fhir.closely.systems import system
from suture.standards.terminology import core
from suture.standards.terminology.code_system import CodeSystem

SHORTEST = 20  # characters of a display that may be the beginning of another
_BETWEEN = re.compile(r"[\s\-_]+")


def coding(node: Node) -> Iterator[Issue]:
    """An error where the code system is known whole; a warning where R4 has a share of it, for displays were mended since."""
    url, code, display = (text(node.value, name) for name in ("system", "code", "display"))
    if not url or not code or not display.strip() or not _english(node):
        return
    whole = system(node, url)
    known = whole or core.code_system(url)
    names = _names(known, code) if known is not None else []
    if not names or any(_alike(display, one) for one in names):
        return
    say = error if whole or "displays" in node.around.strict else warning
    yield say(f"{node.path}.display", f"The code system {url} calls the code otherwise.", _mend(names), "code-invalid")


def _names(known: CodeSystem, code: str) -> list[str]:
    """Its display and designations; none for a code that is not there."""
    found = known.find(code)
    if found is None:
        return []
    designations = (text(one, "value") for one in known.of(found).designations)
    return [name for name in (known.displays.get(found, ""), *designations) if name]


def _alike(display: str, name: str) -> bool:
    one, other = _plain(display), _plain(name)
    return one == other or (min(len(one), len(other)) >= SHORTEST and (one.startswith(other) or other.startswith(one)))


def _plain(name: str) -> str:
    return _BETWEEN.sub(" ", name).strip().casefold()


def _mend(names: list[str]) -> str:
    told = " or ".join(f"'{name[:100]}'" for name in names[:3])
    return f"Write {told}, or leave the display out."


def _english(node: Node) -> bool:
    """Whether the resource, or one around it, is said to be in another language."""
    at: Node | None = node.resource
    while at is not None:
        language = text(at.value, "language")
        if language:
            return language.lower().startswith("en")
        at = at.up.resource if at.up is not None else None
    return True


RULES = (Rule("Coding", coding),)
