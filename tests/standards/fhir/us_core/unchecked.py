"""Lists the bindings of US Core whose codes can't be judged, since their value sets or code systems are not inside."""

from __future__ import annotations

from collections.abc import Iterator

from suture.standards.fhir import us_core
from suture.standards.fhir.profiles.rules import Rule
from suture.standards.terminology.collected import Collected
from suture.standards.terminology.membership import systems

R4 = Collected(())
NOBODY = "no-such-code"


def section() -> str:
    rows = {url: told for url, told in sorted(_judged().items()) if told != "all"}
    listed = "\n".join(f"| `{url}` | {told} |" for url, told in rows.items())
    head = f"Of {len(_judged())} value sets that US Core binds (required, extensible), the codes of {len(rows)} can't all be judged:"
    return f"{head}\n\n| value set | judged |\n|---|---|\n{listed}\n"


def _judged() -> dict[str, str]:
    found = {url: _told(version, url) for version in us_core.VERSIONS for url in sorted(bound(version))}
    return {url.partition("|")[0]: told for url, told in found.items()}


def bound(version: str) -> set[str]:
    guide = us_core.guide(version)
    assert guide is not None
    made = [found for url in guide.urls if (found := guide.profile(url)) is not None]
    return {rule.binding[1] for one in made for rule in _rules(one.root) if rule.binding}


def _rules(rule: Rule) -> Iterator[Rule]:
    yield rule
    for inner in (*rule.children.values(), *rule.slices.values()):
        yield from _rules(inner)


def _told(version: str, url: str) -> str:
    """`all`, `none`, or the code systems that are judged."""
    guide = us_core.guide(version)
    plain = url.partition("|")[0]
    library = guide.terms if guide is not None and plain in guide.sets else R4
    found = library.value_set(plain)
    if found is None:
        return "none: not inside"
    drawn = systems(library, found)
    open_ = [one for one in drawn if library.member_of(one, NOBODY, plain) is None]
    if not open_ and library.member_of(None, NOBODY, plain) is not None:
        return "all"
    told = [one for one in drawn if one not in open_]
    return f"those of {', '.join(told)}" if told else f"none: needs {', '.join(open_) or 'other value sets'}"
