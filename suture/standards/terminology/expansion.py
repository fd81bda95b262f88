"""What $expand answers: a ValueSet with its codes, filtered, paged, nested, in a language.

https://hl7.org/fhir/R4/valueset-operation-expand.html
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from suture.errors import TooCostly
from suture.standards.terminology.code_system import CodeSystem
from suture.standards.terminology.compose import Key, Member, Members

MOST = 10_000  # codes of an expansion that is not asked for in pages
Row = tuple[Key, Member]


@dataclass(frozen=True, slots=True)
class Wanted:
    """The parameters of $expand that shape the answer."""

    filter: str = ""
    offset: int | None = None
    count: int | None = None
    nested: bool = True
    designations: bool = False
    languages: tuple[str, ...] = ()  # of the designations; none: all
    active: bool = False
    language: str = ""
    definition: bool = False

    @property
    def paged(self) -> bool:
        return self.offset is not None or self.count is not None


def expansion(found: Members, wanted: Wanted) -> dict[str, Any]:
    """ValueSet.expansion without identifier and timestamp; raises TooCostly when there are too many codes for one answer."""
    nested = wanted.nested and not wanted.paged and not wanted.filter
    rows = _filtered(found, wanted.filter) if wanted.filter else found.codes.items()
    rows = [row for row in rows if _offered(row, wanted, nested)]
    page = _page(rows, wanted)
    if len(page) > MOST:
        mend = f"Ask for pages (count, offset; at most {MOST}), or narrow it with filter."
        raise TooCostly(f"the expansion has {len(page)} codes", where="count", mend=mend)
    made: dict[str, Any] = {"total": len(rows)}
    if wanted.paged:
        made["offset"] = wanted.offset or 0
    made["parameter"] = list(_parameters(found, wanted))
    contains = _nested(page, wanted) if nested else [_entry(row, wanted) for row in page]
    return {**made, "contains": contains} if contains else made


def _offered(row: Row, wanted: Wanted, nested: bool) -> bool:
    """Not what is outdated, unless it is listed by name; and what only groups others where there are groups alone."""
    (_, code), member = row
    known = member.known
    if known is None:
        return True
    if not member.named and (known.deprecated(code) or (not nested and known.abstract(code))):
        return False
    return not (wanted.active and known.inactive(code))


def _filtered(found: Members, text: str) -> list[Row]:
    """Those with every word of the filter in code, display or a designation."""
    words = text.casefold().split()
    hits: dict[int, frozenset[str]] = {}
    kept = []
    for row in found.codes.items():
        (_, code), member = row
        known = member.known
        if known is not None and id(known) not in hits:
            hits[id(known)] = known.having(words)
        there = known is not None and code in hits[id(known)]
        if there or ((known is None or member.named) and _fits(row, words)):
            kept.append(row)
    return kept


def _fits(row: Row, words: Iterable[str]) -> bool:
    """The same for what the value set itself says of a code."""
    (_, code), member = row
    texts = [code, display(row), *(str(d.get("value", "")) for d in member.designations)]
    folded = "\n".join(texts).casefold()
    return all(word in folded for word in words)


def _page(rows: list[Row], wanted: Wanted) -> list[Row]:
    start = wanted.offset or 0
    return rows[start:] if wanted.count is None else rows[start : start + wanted.count]


def _parameters(found: Members, wanted: Wanted) -> Iterable[dict[str, Any]]:
    """What was asked, and the versions that the answer was made of."""
    texts = {"filter": wanted.filter, "displayLanguage": wanted.language}
    yield from ({"name": name, "valueString": text} for name, text in texts.items() if text)
    numbers = {"offset": wanted.offset, "count": wanted.count}
    yield from ({"name": name, "valueInteger": number} for name, number in numbers.items() if number is not None)
    flags = {
        "includeDesignations": wanted.designations,
        "includeDefinition": wanted.definition,
        "activeOnly": wanted.active,
        "excludeNested": not wanted.nested,
    }
    yield from ({"name": name, "valueBoolean": True} for name, on in flags.items() if on)
    for url, version in found.used.items():
        yield {"name": "version", "valueUri": f"{url}|{version}" if version else url}
    for url in sorted(found.part):
        yield {"name": "used-fragment", "valueUri": url}


def display(row: Row, language: str = "") -> str:
    """The value set's own display, or the system's; in the language when there is one in it."""
    (_, code), member = row
    if language:
        told = in_language(
            [*member.designations, *(member.known.of(code).designations if member.known else [])], language
        )
        if told:
            return told
    return member.display or (member.known.displays.get(code, "") if member.known else "")


def in_language(designations: Iterable[Mapping[str, Any]], language: str) -> str:
    """The first designation of the language, or of its region."""
    wanted = language.lower()
    for one in designations:
        told = str(one.get("language", "")).lower()
        if told and (told == wanted or told.startswith(f"{wanted}-")):
            return str(one.get("value", ""))
    return ""


def _entry(row: Row, wanted: Wanted) -> dict[str, Any]:
    (system, code), member = row
    known = member.known
    made: dict[str, Any] = {"system": system} if system else {}
    if known is not None and known.abstract(code):
        made["abstract"] = True
    if known is not None and known.inactive(code):
        made["inactive"] = True
    made["code"] = code
    text = display(row, wanted.language)
    if text:
        made["display"] = text
    if wanted.designations:
        made |= _designations(member, known, code, wanted.languages)
    return made


def _designations(member: Member, known: CodeSystem | None, code: str, languages: tuple[str, ...]) -> dict[str, Any]:
    told = [*member.designations, *(known.of(code).designations if known else [])]
    kept = [dict(d) for d in told if not languages or d.get("language") in languages]
    return {"designation": kept} if kept else {}


def _nested(rows: list[Row], wanted: Wanted) -> list[dict[str, Any]]:
    """Each below the first of its parents that is a code of the expansion, too."""
    made = {key: _entry((key, member), wanted) for key, member in rows}
    tops = []
    for (system, code), member in rows:
        above = member.known.parents.get(code, ()) if member.known and not member.named else ()
        parent = next((made[system, one] for one in above if (system, one) in made and one != code), None)
        if parent is None or _around(member.known, code):
            tops.append(made[system, code])
        else:
            parent.setdefault("contains", []).append(made[system, code])
    return tops


def _around(system: CodeSystem | None, code: str) -> bool:
    """Whether a hierarchy leads back to where it began."""
    return system is not None and any(code in system.above(one) for one in system.parents.get(code, ()))
