"""Packages by name: from a registry that has them, and what is said where it has not, sends another, or is not reached."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from suture.connectors.allowed import Allowed
from suture.connectors.outbound import Outbound
from suture.errors import Invalid, NotFound, SendFailed
from suture.services.guide_registry import Wanted, fetched, wanted
from suture.standards.fhir.packages import Package
from tests.connectors.site import Got, Say, Site
from tests.standards.fhir.test_packages import COLOURS, HEAD, packed

GUIDE = packed({"package/package.json": HEAD, "package/ValueSet-colours.json": COLOURS})
NAMED = Wanted("example.guide", "1.2.0")
SAID = {
    "/example.guide/1.2.0": Say(body=GUIDE),
    "/example.guide/2.0.0": Say(body=GUIDE),
    "/example.guide/3.0.0": Say(503),
    "/example.guide/4.0.0": Say(302, headers={"location": "http://127.0.0.1/elsewhere"}),
    "/example.guide/5.0.0": Say(body=b"<html>"),
}


@asynccontextmanager
async def registry() -> AsyncIterator[tuple[Outbound, str]]:
    def say(got: Got) -> Say:
        return SAID.get(got.target, Say(404))

    async with Site(say) as site:
        door = Outbound(Allowed([site.url]))
        yield door, site.url
        await door.close()


async def asked(version: str) -> Package:
    async with registry() as (door, url):
        return await fetched(door, url, Wanted("example.guide", version))


async def test_a_package_comes_by_its_name() -> None:
    found = await asked("1.2.0")
    assert (str(found), len(found.resources)) == ("example.guide@1.2.0", 1)


@pytest.mark.parametrize(
    ("version", "error", "text"),
    [
        ("9.0.0", NotFound, r"the registry has no example\.guide@9\.0\.0"),
        ("2.0.0", Invalid, r"the registry sent another package than example\.guide@2\.0\.0"),
        ("3.0.0", SendFailed, "the registry answered 503"),
        ("4.0.0", SendFailed, "the registry answered 302"),
        ("5.0.0", Invalid, r"the file is no \.tgz"),
    ],
)
async def test_what_can_not_be_had_is_told(version: str, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        await asked(version)


async def test_without_a_network_it_says_what_to_do() -> None:
    async with registry() as (_, url):
        pass
    door = Outbound(Allowed([url]))
    with pytest.raises(SendFailed, match="cannot be reached") as refused:
        await fetched(door, url, NAMED)
    await door.close()
    assert refused.value.where == "ig.registry"
    assert refused.value.mend.endswith("Or download the package elsewhere, and install the file.")


def test_names() -> None:
    assert wanted("hl7.fhir.us.core@7.0.0") == Wanted("hl7.fhir.us.core", "7.0.0")
    assert wanted("hl7.fhir.us.core#8.0.0-ballot") == Wanted("hl7.fhir.us.core", "8.0.0-ballot")
    for other in ("guide.tgz", "hl7.fhir.us.core", "../x@1", "a.b@", "a.b@1/2", "http://x.y/a@1", "A.B@1", "a..b@1"):
        assert wanted(other) is None
