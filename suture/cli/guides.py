"""Implementation guides on the command line: packages read from files, and the checks that their profiles make."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from suture.clock import SYSTEM
from suture.errors import Invalid, InvalidResource, Issue
from suture.standards.fhir import closely, packages, profiles, us_core, vital_signs
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.packages import Package
from suture.standards.fhir.profiles import Around, Profile
from suture.standards.fhir.profiles.claims import Claim
from suture.standards.fhir.profiles.quick import Quick
from suture.standards.fhir.profiles.quick_binding import remembered
from suture.standards.fhir.profiles.slices import type_of
from suture.standards.fhir.us_core import Named
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


def checks(files: Sequence[Path], named: Sequence[str], strict: Sequence[str] = ()) -> Checks:
    """What a resource is held against: R4, the profiles that are named, those it claims of the packages and of US Core.

    `strict` names what is refused besides (closely.STRICT).
    """
    if set(strict) - set(closely.STRICT):
        raise Invalid("there is nothing of this name", where="--strict", mend=f"One of {', '.join(closely.STRICT)}.")
    guides = Guides([package(file) for file in files], strict)
    if files or named:
        return partial(guides.check, [guides.named(name) for name in named])
    return partial(alone, around=closely.Around(strict=guides.strict))


def alone(resource: dict[str, Any], around: closely.Around | None = None) -> list[Issue]:
    """R4 as the validator checks it, then closely; what can't even be read is not looked at."""
    found = check(resource)
    return found if any(issue.severity == "fatal" for issue in found) else found + closely.look(resource, around)


class Guides:
    """The profiles and value sets of several packages, with US Core behind them."""

    def __init__(self, found: Sequence[Package], strict: Sequence[str] = ()) -> None:
        self.strict = frozenset(strict)
        self._terms = Collected((one for each in found for one in each.resources), _sound)
        self._definitions: dict[str, dict[str, Any]] = {}
        self._canonicals: dict[tuple[str, str], dict[str, Any]] = {}
        self._fine: dict[tuple[str, str], bool] = {}  # which of them are sound R4
        self._ids: dict[str, str] = {}
        self._read: dict[str, Profile | None] = {}
        self.member_of = remembered(self._member_of)
        self._quick = Quick(self.profile, self.member_of)
        for one in (one for each in found for one in each.resources):
            self._canonicals.setdefault((str(one.get("resourceType")), str(one.get("url"))), one)
            if one.get("resourceType") == "StructureDefinition" and isinstance(one.get("url"), str):
                self._definitions.setdefault(one["url"], one)
                self._definitions.setdefault(f"{one['url']}|{one.get('version', '')}", one)
                self._ids.setdefault(str(one.get("id", "")), one["url"])

    def named(self, name: str) -> Named:
        """What a canonical, an id or `us-core` asks for; raises Invalid when neither a package nor US Core has it."""
        url = self._ids.get(name, name)
        own = us_core.named(name) if url not in self._definitions else None
        if own is None and self.profile(url) is None:
            mend = "Name the package that has it: --package FILE.tgz"
            raise Invalid(f"the profile {name[:300]} is not here, or not sound", where="--profile", mend=mend)
        return own or Named("", url)

    def definition(self, type: str, url: str) -> dict[str, Any] | None:
        """What a package has of this type under a canonical; None when none has it or it is not sound R4."""
        key = (type, url.partition("|")[0])
        found = self._canonicals.get(key)
        if found is not None and key not in self._fine:
            self._fine[key] = _sound(found)
        return found if found is not None and self._fine[key] else None

    def profile(self, url: str) -> Profile | None:
        """The profile of a canonical; None when neither a package nor what is inside has it, or it is not sound R4."""
        if url not in self._read:
            self._read[url] = self._compiled(url)
        return self._read[url]

    def _member_of(self, system: str | None, code: str, url: str) -> bool | None:
        """Whether a value set holds a code, by the packages and R4, else by US Core; None when nobody can tell."""
        told = self._terms.member_of(system, code, url)
        return told if told is not None else us_core.member_of(system, code, url)

    def _compiled(self, url: str) -> Profile | None:
        definition = self._definitions.get(url)
        if definition is None:
            return us_core.profile(url) or vital_signs.profile(url)
        if not _sound(definition):
            return None
        try:
            return profiles.read(definition)
        except InvalidResource:
            return None

    def check(self, named: Sequence[Named], resource: dict[str, Any]) -> list[Issue]:
        """R4 first; what it can't even read is held against no profile."""
        closer = closely.Around(
            self.definition, self.member_of, self.strict, tuple(one.url for one in named if one.url)
        )
        found = alone(resource, closer)
        if any(issue.severity == "fatal" for issue in found):
            return found
        around = Around(self.profile, partial(resolved, resource), self.member_of, SYSTEM.now().date().isoformat())
        found += us_core.unmet(named, resource)
        for inner, path, url in self._once([*us_core.asked(named, resource), *profiles.claims(resource)]):
            if not self._surely(inner, url, around):
                found += profiles.below(path, self._kept(inner, url, around))
        return profiles.few(found)

    def _surely(self, resource: dict[str, Any], url: str, around: Around) -> bool:
        """A fast yes; a no says nothing yet."""
        profile = self.profile(url)
        return profile is not None and self._quick.keeps(resource, profile, around.resolve)

    def _once(self, claims: list[Claim]) -> Iterator[Claim]:
        """A profile that is both named and claimed, with or without its version, is held once."""
        done = set()
        for one in claims:
            profile = self.profile(one.url)
            key = (one.path, profile.name if profile is not None else one.url)
            if key not in done:
                done.add(key)
                yield one

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
