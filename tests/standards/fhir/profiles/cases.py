"""HL7's public validator cases, judged: does Suture see an error where the outcome that was recorded has one?

https://github.com/FHIR/fhir-test-cases (validator/manifest.json); run as a program it prints what docs/validation.md says about them.
"""

from __future__ import annotations

import json as plain
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from suture.errors import InvalidResource, SutureError
from suture.standards.fhir import closely, json, profiles, xml
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.fhir.validate import check
from suture.standards.terminology.collected import Collected
from tests import public

Resource = dict[str, Any]
TODAY = "2026-01-01"


class Judged(NamedTuple):
    """One judgement: `way` is base (the resource and what it claims) or profile (against a named one, too)."""

    name: str
    version: str
    module: str
    way: str
    wanted: bool
    got: bool


class Case:
    """One case with the files it names."""

    def __init__(self, folder: Path, row: Resource) -> None:
        self.folder, self.row, self.profile = folder, row, row.get("profile", {})
        self.known: dict[str, Profile] = {}
        self.definitions: dict[tuple[str, str], Resource] = {}
        beside = [found for name in self._beside() if (found := self._quietly(name)) is not None]
        for one in beside:
            self._learn(one)
        self.terms = Collected(beside)

    def _beside(self) -> Iterator[str]:
        yield from self.row.get("profiles", [])
        yield from self.row.get("supporting", [])
        yield from self.profile.get("supporting", [])
        if "source" in self.profile:
            yield self.profile["source"]

    def _learn(self, found: Resource) -> None:
        self.definitions[str(found.get("resourceType")), str(found.get("url"))] = found
        if found.get("resourceType") == "StructureDefinition":
            try:
                made = profiles.read(found)
            except InvalidResource:
                return
            self.known[made.url] = made

    def load(self, name: str) -> Resource:
        raw = (self.folder / name).read_bytes().removeprefix(b"\xef\xbb\xbf")
        return xml.read(raw) if name.endswith(".xml") else json.read(raw)

    def _quietly(self, name: str) -> Resource | None:
        try:
            return self.load(name)
        except (SutureError, OSError):
            return None

    def wrong(self, named: list[str]) -> bool:
        """Whether there is an error in the case's file."""
        try:
            resource = self.load(self.row["file"])
        except SutureError:
            return True
        found = check(resource)
        found = found + closely.look(resource, self.around_closely(named))
        around = Around(self.find, partial(resolved, resource), self.terms.member_of, TODAY)
        for inner, url in [
            *((resource, url) for url in named),
            *((one.resource, one.url) for one in profiles.claims(resource)),
        ]:
            profile = self.find(url)
            found = found + (profiles.check(inner, profile, around) if profile else [])
        return any(issue.severity in ("error", "fatal") for issue in found)

    def around_closely(self, named: Sequence[str] = ()) -> closely.Around:
        """As HL7's tool is set for the case: what it refuses only on request, and that it wants to know every extension."""
        asked = {
            "html": self.row.get("security-checks"),
            "markdown": self.row.get("noHtmlInMarkdown"),
            "examples": not self.row.get("examples", True),
            "extensions": True,
        }
        strict = frozenset(name for name, on in asked.items() if on)
        return closely.Around(self.definition, self.terms.member_of, strict, tuple(named))

    def definition(self, type: str, url: str) -> Resource | None:
        return self.definitions.get((type, url.partition("|")[0]))

    def find(self, url: str) -> Profile | None:
        return self.known.get(url.partition("|")[0])

    def judged(self) -> Iterator[Judged]:
        """Its judgements, as far as the file and the recorded outcome are there."""
        if not (self.folder / self.row["file"]).exists():
            return
        source = self._quietly(self.profile["source"]) if "source" in self.profile else None
        named = [str(source["url"])] if source and source.get("url") else []
        for way, told, urls in (("base", self.row.get("java"), []), ("profile", self.profile.get("java"), named)):
            wanted = _recorded(self.folder, told) if told is not None else None
            if wanted is not None:
                row = self.row
                yield Judged(row["name"], row["version"], row["module"], way, wanted, self.wrong(urls))


def _recorded(folder: Path, told: Any) -> bool | None:
    """Whether HL7's validator saw an error; None when its outcome is not there."""
    if isinstance(told, dict):
        return bool(told.get("errorCount", 0)) or _bad(told.get("outcome", {}).get("issue", []))
    file = folder / "outcomes" / told
    if not file.exists():
        return None
    found = plain.loads(file.read_bytes())
    issues = found.get("issue") or found.get("outcome", {}).get("issue", [])
    return bool(found.get("errorCount", 0)) or _bad(issues)


def _bad(issues: list[Resource]) -> bool:
    return any(one["severity"] in ("error", "fatal") for one in issues)


def judge() -> list[Judged]:
    """All judgements of all cases."""
    folder = public.path("fhir-test-cases/validator")
    rows = plain.loads((folder / "manifest.json").read_bytes())["test-cases"]
    return [judged for row in rows for judged in Case(folder, row).judged()]


def section() -> str:
    """What docs/validation.md says about the cases, with every disagreement by name."""
    found = judge()
    wrong = [one for one in found if one.wanted]
    alarms = [one for one in found if one.got and not one.wanted]
    agreed = sum(one.wanted == one.got for one in found)
    cases: dict[tuple[str, str], list[Judged]] = {}
    for one in found:
        cases.setdefault((one.name, one.version), []).append(one)
    whole = sum(all(one.wanted == one.got for one in ones) for ones in cases.values())
    lines = [
        f"{whole} of {len(cases)} cases agree ({whole / len(cases):.0%}): a case is judged up to twice, alone and against a named profile. "
        f"{agreed} of {len(found)} judgements agree ({agreed / len(found):.0%}): of {len(wrong)} with an error in HL7's outcome "
        f"{sum(one.got for one in wrong)} are caught, of {len(found) - len(wrong)} without one {len(alarms)} are false alarms.",
        "",
        "| | module | cases |",
        "|---|---|---|",
    ]
    for kind, ones in (("missed", [one for one in wrong if not one.got]), ("false alarm", alarms)):
        for module in sorted({one.module for one in ones}):
            names = sorted({f"`{one.name}`" for one in ones if one.module == module})
            lines.append(f"| {kind} | {module} | {' '.join(names)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(section() + "\n")
