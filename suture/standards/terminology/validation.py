"""Checks a code against a code system or a value set: $validate-code.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html · https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from suture.standards.terminology.code_system import CodeSystem
from suture.standards.terminology.compose import Library, unknown_system
from suture.standards.terminology.expansion import in_language
from suture.standards.terminology.membership import member_of


@dataclass(frozen=True, slots=True)
class Coding:
    """A code as somebody wrote it."""

    system: str = ""
    code: str = ""
    version: str = ""
    display: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the code holds; `message` says what is wrong, or worth knowing."""

    result: bool
    message: str = ""
    coding: Coding = Coding()
    display: str = ""  # the right one


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is checked: whether codes that only group others will do, and in which language displays are."""

    abstract: bool = False
    language: str = ""


PLAIN = Manner()


def best(verdicts: Sequence[Verdict]) -> Verdict:
    """Of a CodeableConcept: one coding that holds is enough; else all that is wrong."""
    good = next((v for v in verdicts if v.result), None)
    if good is not None or len(verdicts) == 1:
        return good or verdicts[0]
    return Verdict(False, "; ".join(v.message for v in verdicts), verdicts[0].coding if verdicts else Coding())


def in_system(system: CodeSystem, coding: Coding, manner: Manner = PLAIN) -> Verdict:
    """Whether the code system has the code, and the display is one of its own."""
    found = system.find(coding.code)
    if found is None:
        return Verdict(False, f"Unknown code '{coding.code}' in the code system {_named(system)}", coding)
    if coding.version and system.version and coding.version != system.version:
        text = f"The code is of version {coding.version}; here is version {system.version} of {system.url}"
        return Verdict(False, text, coding)
    kept = Coding(system.url, found, system.version, coding.display)
    right = _display(system, found, manner.language)
    if system.abstract(found) and not manner.abstract:
        return Verdict(False, f"The code '{found}' only groups others (abstract)", kept, right)
    if coding.display and not _fits(coding.display, _displays(system, found)):
        text = f"The display '{coding.display[:200]}' is not one of {system.url}#{found}; it is '{right}'"
        return Verdict(False, text, kept, right)
    return Verdict(True, "The code is inactive" if system.inactive(found) else "", kept, right)


def in_set(library: Library, value_set: Mapping[str, Any], coding: Coding, manner: Manner = PLAIN) -> Verdict:
    """Whether the value set holds the code; raises Inapplicable when that can't be said here."""
    held = member_of(library, value_set, coding.system, coding.code)
    if held is None:
        raise unknown_system(coding.system, coding.version, "system")
    system = library.system(coding.system, coding.version)
    if not held:
        return Verdict(False, _outside(value_set, coding, system), coding, _known(system, coding, manner))
    if system is None or system.find(coding.code) is None:
        return _enumerated(value_set, coding)
    return in_system(system, coding, manner)


def _enumerated(value_set: Mapping[str, Any], coding: Coding) -> Verdict:
    """A code of a system that is not here, which the value set lists."""
    parts = [p for p in value_set.get("compose", {}).get("include", []) if p.get("system") == coding.system]
    listed = (c for part in parts for c in part.get("concept", []) if c.get("code") == coding.code)
    own = next((str(c.get("display", "")) for c in listed), "")
    if own and coding.display and not _fits(coding.display, [own]):
        text = f"The display '{coding.display[:200]}' is not one of {coding.system}#{coding.code}; it is '{own}'"
        return Verdict(False, text, coding, own)
    return Verdict(
        True, f"The code system {coding.system} is not known here; the value set lists the code", coding, own
    )


def _outside(value_set: Mapping[str, Any], coding: Coding, system: CodeSystem | None) -> str:
    name = value_set.get("url") or value_set.get("title") or "that was sent"
    version = f"|{value_set['version']}" if value_set.get("version") else ""
    text = f"The code '{coding.system}#{coding.code}' is not in the value set {name}{version}"
    unknown = system is not None and system.whole and system.find(coding.code) is None
    return f"{text}; the code system {_named(system)} does not have it" if unknown and system else text


def _known(system: CodeSystem | None, coding: Coding, manner: Manner) -> str:
    found = system.find(coding.code) if system is not None else None
    return _display(system, found, manner.language) if system is not None and found else ""


def _display(system: CodeSystem, code: str, language: str) -> str:
    told = in_language(system.of(code).designations, language) if language else ""
    return told or system.displays[code]


def _displays(system: CodeSystem, code: str) -> list[str]:
    return [system.displays[code], *(str(d.get("value", "")) for d in system.of(code).designations)]


def _fits(display: str, known: Sequence[str]) -> bool:
    """Case and spaces do not count; a code without any display lets every one pass."""
    wanted = " ".join(display.casefold().split())
    told = [" ".join(text.casefold().split()) for text in known if text]
    return not told or wanted in told


def _named(system: CodeSystem) -> str:
    return f"{system.url}|{system.version}" if system.version else system.url
