"""Implementation guides on the command line: packages read from files, and the checks that their profiles make."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from suture.clock import SYSTEM
from suture.errors import Invalid, InvalidResource, Issue
from suture.standards.fhir import closely, packages, profiles
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.packages import Package
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.fhir.profiles.slices import type_of
from suture.standards.fhir.validate import check
from suture.standards.terminology.collected import Collected

Checks = Callable[[dict[str, Any]], list[Issue]]


def package(file: Path) -> Package:
    """The package in a file; raises Invalid for one that can't be read."""
    try:
        if file.stat().st_size > packages.LARGEST:
            raise Invalid(f"it is larger than {packages.LARGEST} bytes", where=str(file), mend="Is it a package?")
        return packages.read(file.read_bytes(), str(file))
    except OSError as error:
        raise Invalid("the package can't be read", where=str(file), mend="Check its name and your rights.") from error


def checks(files: Sequence[Path], named: Sequence[str]) -> Checks:
    """What a resource is held against: R4, the profiles that are named, those of the packages that it claims."""
    guides = Guides([package(file) for file in files])
    return partial(guides.check, [guides.url(name) for name in named]) if files or named else alone


def alone(resource: dict[str, Any], around: closely.Around | None = None) -> list[Issue]:
    """R4 as the validator checks it, then closely; what can't even be read is not looked at."""
    found = check(resource)
    return found if any(issue.severity == "fatal" for issue in found) else found + closely.look(resource, around)


class Guides:
    """The profiles and value sets of several packages."""

    def __init__(self, found: Sequence[Package]) -> None:
        self._terms = Collected((one for each in found for one in each.resources), _sound)
        self._definitions: dict[str, dict[str, Any]] = {}
        self._canonicals: dict[tuple[str, str], dict[str, Any]] = {}
        self._ids: dict[str, str] = {}
        self._read: dict[str, Profile | None] = {}
        for one in (one for each in found for one in each.resources):
            self._canonicals.setdefault((str(one.get("resourceType")), str(one.get("url"))), one)
            if one.get("resourceType") == "StructureDefinition" and isinstance(one.get("url"), str):
                self._definitions.setdefault(one["url"], one)
                self._definitions.setdefault(f"{one['url']}|{one.get('version', '')}", one)
                self._ids.setdefault(str(one.get("id", "")), one["url"])

    def url(self, name: str) -> str:
        """The canonical of a profile that is named by it or by its id; raises Invalid when no package has it."""
        url = self._ids.get(name, name)
        if self.profile(url) is None:
            mend = "Name the package that has it: --package FILE.tgz"
            raise Invalid(f"the profile {name[:300]} is not here, or not sound", where="--profile", mend=mend)
        return url

    def definition(self, type: str, url: str) -> dict[str, Any] | None:
        """What a package has of this type under a canonical; None when none has it or it is not sound R4."""
        found = self._canonicals.get((type, url.partition("|")[0]))
        return found if found is not None and _sound(found) else None

    def profile(self, url: str) -> Profile | None:
        """The profile of a canonical; None when no package has it or it is not sound R4."""
        if url not in self._read:
            self._read[url] = self._compiled(url)
        return self._read[url]

    def _compiled(self, url: str) -> Profile | None:
        definition = self._definitions.get(url)
        if definition is None or not _sound(definition):
            return None
        try:
            return profiles.read(definition)
        except InvalidResource:
            return None

    def check(self, named: Sequence[str], resource: dict[str, Any]) -> list[Issue]:
        """R4 first; what it can't even read is held against no profile."""
        found = alone(resource, closely.Around(self.definition, self._terms.member_of))
        if any(issue.severity == "fatal" for issue in found):
            return found
        today = SYSTEM.now().date().isoformat()
        around = Around(self.profile, partial(resolved, resource), self._terms.member_of, today)
        for url in named:
            found += self._kept(resource, url, around)
        for inner, path, url in profiles.claims(resource):
            if inner is not resource or url not in named:
                found += profiles.below(path, self._kept(inner, url, around))
        return profiles.few(found)

    def _kept(self, resource: dict[str, Any], url: str, around: Around) -> list[Issue]:
        profile = self.profile(url)
        if profile is not None:
            return profiles.check(resource, profile, around)
        if type_of(url):
            return []
        text = f"the profile {url[:300]} is not here, or not sound"
        return [
            Issue(
                "information",
                "not-found",
                text,
                f"{resource.get('resourceType')}.meta.profile",
                "Name its package: --package FILE.tgz",
            )
        ]


def _sound(resource: dict[str, Any]) -> bool:
    """A package may hold anything: what is not sound R4 is not used."""
    return not any(issue.severity in ("error", "fatal") for issue in check(resource))
