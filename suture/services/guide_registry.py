"""Fetches an implementation guide's package by name from a registry (https://hl7.org/fhir/R4/packages.html, npm's addresses)."""

from __future__ import annotations

import re
from typing import NamedTuple

from suture.errors import Invalid, NotFound, OutboundRefused, SendFailed
from suture.ports import Answer, Fetch
from suture.standards.fhir import packages
from suture.standards.fhir.packages import Package

PURPOSE = "guide"
TIMEOUT = 120.0
REDIRECTS = (301, 302, 303, 307, 308)
_NAME = re.compile(r"([a-z0-9][a-z0-9_-]*(?:\.[a-z0-9][a-z0-9_-]*)+)[@#]([A-Za-z0-9][A-Za-z0-9.+-]{0,63})")
FILE = "Or download the package elsewhere, and install the file."


class Wanted(NamedTuple):
    """A package by its name."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def wanted(text: str) -> Wanted | None:
    """`hl7.fhir.us.core@7.0.0`; None for what is no such name."""
    found = _NAME.fullmatch(text)
    return Wanted(found[1], found[2]) if found else None


async def fetched(fetch: Fetch, registry: str, package: Wanted) -> Package:
    """The package as the registry has it; raises NotFound, SendFailed with what to do, or Invalid for another package."""
    url = f"{registry.rstrip('/')}/{package.name}/{package.version}"
    answer = await _answer(fetch, url)
    if answer.status in REDIRECTS and answer.headers.get("location", "").startswith("https://"):
        answer = await _answer(fetch, answer.headers["location"])
    if answer.status == 404:
        raise NotFound(f"the registry has no {package}", where=registry, mend="Look up its name and version there.")
    if answer.status != 200:
        raise SendFailed(f"the registry answered {answer.status}", where=registry, mend=FILE)
    found = packages.read(answer.body, str(package))
    if (found.name, found.version) != (package.name, package.version):
        raise Invalid(f"the registry sent another package than {package}", where=registry, mend=FILE)
    return found


async def _answer(fetch: Fetch, url: str) -> Answer:
    try:
        return await fetch.fetch(url, purpose=PURPOSE, most=packages.LARGEST, timeout=TIMEOUT)
    except OutboundRefused:
        raise
    except SendFailed as error:
        mend = f"Is there a network here, and is the setting ig.registry right? {FILE}"
        raise SendFailed(error.text, where="ig.registry", mend=mend) from error
