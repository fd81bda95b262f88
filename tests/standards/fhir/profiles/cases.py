"""HL7's public validator cases, judged: does Suture see an error where the outcome that was recorded has one?

https://github.com/FHIR/fhir-test-cases (validator/manifest.json); run as a program it prints what docs/validation.md says about them.
A case is one row of the manifest. It is left out when no outcome of HL7's tool is recorded for it.
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

    row: int  # of the manifest: names are there twice
    name: str
    module: str
    way: str
    wanted: bool
    got: bool
    missing: tuple[str, ...]  # files that the case names and that are not there


class Case:
    """One case, judged one way, with the files that HL7's tool is given then: a named profile and what it needs come second."""

    def __init__(self, folder: Path, row: Resource, way: str = "profile") -> None:
        self.folder, self.row, self.profile = folder, row, row.get("profile", {})
        self.way = way
        self.known: dict[str, Profile] = {}
        self.definitions: dict[tuple[str, str], Resource] = {}
        self.missing = [name for name in self._beside() if not (folder / name).exists()]
        beside = [found for name in self._beside() if (found := self._quietly(name)) is not None]
        for one in beside:
            self._learn(one)
        self.terms = Collected(beside)

    def _beside(self) -> Iterator[str]:
        yield from self.row.get("profiles", [])
        yield from self.row.get("supporting", [])
        if self.way == "profile":
            yield from self.profile.get("supporting", [])
            yield from [self.profile["source"]] if "source" in self.profile else []

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

    @property
    def named(self) -> list[str]:
        """The profile that is named, as far as its file is there."""
        source = self._quietly(self.profile["source"]) if self.way == "profile" and "source" in self.profile else None
        return [str(source["url"])] if source and source.get("url") else []

    def wrong(self) -> bool:
        """Whether there is an error in the case's file."""
        try:
            resource = self.load(self.row["file"])
        except SutureError:
            return True
        found = check(resource) + closely.look(resource, self.around_closely())
        around = Around(self.find, partial(self.resolve, resource), self.terms.member_of, TODAY)
        for inner, url in [
            *((resource, url) for url in self.named),
            *((one.resource, one.url) for one in profiles.claims(resource)),
        ]:
            profile = self.find(url)
            found = found + (profiles.check(inner, profile, around) if profile else [])
        return any(issue.severity in ("error", "fatal") for issue in found)

    def resolve(self, resource: Resource, reference: str) -> Resource | None:
        """Inside the resource; where the case asks for targets to be valid, the files beside it, by their ids, too."""
        found = resolved(resource, reference)
        if found is None and self.row.get("validateReference") == "CHECK_VALID":
            id = reference.rpartition("/")[2].lower()
            there = (self._quietly(f"{id}.{kind}") for kind in ("json", "xml"))
            found = next((one for one in there if one is not None), None)
            self.missing += [] if found else [id]
        return found

    def around_closely(self) -> closely.Around:
        """As HL7's tool is set for the case: what it refuses only on request, and that it wants to know every extension."""
        asked = {
            "html": self.row.get("security-checks"),
            "markdown": self.row.get("noHtmlInMarkdown"),
            "examples": not self.row.get("examples", True),
            "extensions": True,
            "displays": True,
        }
        strict = frozenset(name for name, on in asked.items() if on)
        return closely.Around(self.definition, self.terms.member_of, strict, tuple(self.named))

    def definition(self, type: str, url: str) -> Resource | None:
        return self.definitions.get((type, url.partition("|")[0]))

    def find(self, url: str) -> Profile | None:
        return self.known.get(url.partition("|")[0])


def judged(folder: Path, number: int, row: Resource) -> Iterator[Judged]:
    """The judgements of a row, as far as the file and the recorded outcome are there."""
    if not (folder / row["file"]).exists():
        return
    for way, told in (("base", row.get("java")), ("profile", row.get("profile", {}).get("java"))):
        wanted = _recorded(folder, row, way, told) if told is not None else None
        if wanted is not None:
            case = Case(folder, row, way)
            yield Judged(number, row["name"], row["module"], way, wanted, case.wrong(), tuple(case.missing))


def _recorded(folder: Path, row: Resource, way: str, told: Any) -> bool | None:
    """Whether HL7's validator saw an error; None when its outcome is not there.

    Some rows name a file that was renamed since: by its name, as all are now.
    """
    if isinstance(told, dict):
        return bool(told.get("errorCount", 0)) or _bad(told.get("outcome", {}).get("issue", []))
    release = {"4.0": "R4", "4.0.1": "R4"}.get(row["version"], "R5")
    names = (told, f"java/{release}.{row['name'].replace('/', '-')}-{way}.json")
    file = next((folder / "outcomes" / name for name in names if (folder / "outcomes" / name).exists()), None)
    if file is None:
        return None
    found = plain.loads(file.read_bytes())
    issues = found.get("issue") or found.get("outcome", {}).get("issue", [])
    return bool(found.get("errorCount", 0)) or _bad(issues)


def _bad(issues: list[Resource]) -> bool:
    return any(one["severity"] in ("error", "fatal") for one in issues)


def rows() -> tuple[Path, list[Resource]]:
    """The folder, and the manifest's rows."""
    folder = public.path("fhir-test-cases/validator")
    return folder, plain.loads((folder / "manifest.json").read_bytes())["test-cases"]


def judge() -> list[Judged]:
    """All judgements of all cases."""
    folder, found = rows()
    return [one for number, row in enumerate(found) for one in judged(folder, number, row)]


def agreeing(found: Sequence[Judged]) -> tuple[int, int]:
    """How many cases agree in all their judgements, of how many."""
    cases: dict[int, bool] = {}
    for one in found:
        cases[one.row] = cases.get(one.row, True) and one.wanted == one.got
    return sum(cases.values()), len(cases)


def section() -> str:
    """What docs/validation.md says about the cases, with every disagreement by name."""
    found = judge()
    wrong = [one for one in found if one.wanted]
    alarms = [one for one in found if one.got and not one.wanted]
    agreed = sum(one.wanted == one.got for one in found)
    whole, cases = agreeing(found)
    lines = [
        f"{whole} of {cases} cases agree ({whole / cases:.1%}): a case is judged up to twice, alone and against a named profile. "
        f"{agreed} of {len(found)} judgements agree ({agreed / len(found):.1%}): of {len(wrong)} with an error in HL7's outcome "
        f"{sum(one.got for one in wrong)} are caught, of {len(found) - len(wrong)} without one {len(alarms)} are false alarms. "
        f"{len(rows()[1]) - cases} more have no recorded outcome: {_left(found)}. A * marks what misses files that it needs.",
        "",
        "| | module | cases |",
        "|---|---|---|",
    ]
    for kind, ones in (("missed", [one for one in wrong if not one.got]), ("false alarm", alarms)):
        for module in sorted({one.module for one in ones}):
            names = sorted({f"`{one.name}`" + "*" * bool(one.missing) for one in ones if one.module == module})
            lines.append(f"| {kind} | {module} | {' '.join(names)} |")
    return "\n".join(lines)


def _left(found: Sequence[Judged]) -> str:
    done = {one.row for one in found}
    return " ".join(f"`{row['name']}`" for number, row in enumerate(rows()[1]) if number not in done)


if __name__ == "__main__":
    sys.stdout.write(section() + "\n")
