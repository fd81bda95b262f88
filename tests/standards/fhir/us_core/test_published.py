"""The tables against the packages they are made from: the same verdicts, over every example and every example spoiled."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from scripts import build_us_core
from suture.sandbox.synthetic import world
from suture.standards.fhir import profiles, us_core, validate
from suture.standards.fhir.definitions import files
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.profiles import Around
from tests import docs, public
from tests.standards.fhir.us_core import unchecked
from tests.standards.fhir.us_core.examples import ARCHIVES, Resource, around, claims, published

BAD = ("error", "fatal")


def test_the_guide_lists_the_bindings_that_are_not_judged() -> None:
    docs.check("validation.md", "us core bindings", unchecked.section())


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_the_tables_are_made_from_the_packages(version: str, tmp_path: Path) -> None:
    build_us_core.write(public.path(ARCHIVES[version]), tmp_path)
    committed = files("suture.standards.fhir.us_core") / f"{version}.jsonl"
    assert (tmp_path / f"{version}.jsonl").read_bytes() == committed.read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_the_examples_keep_their_profiles_and_are_chosen_for_them(version: str) -> None:
    done = 0
    for example, url in claims(version):
        found = profiles.check(example, us_core.profile(f"{url}|{version}"), around(example))  # type: ignore[arg-type]
        assert [i for i in found if i.severity in BAD] == [], example["id"]
        assert us_core.fitting(version, example) == [f"{url}|{version}"] or _claims_more(example), example["id"]
        done += 1
    assert done > 150


def _claims_more(example: Resource) -> bool:
    return len(example["meta"]["profile"]) > 1


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_the_tables_say_what_the_published_profiles_say(version: str) -> None:
    """What R4 finds itself is told once by us, twice with the published profile; besides that both find the same."""
    known, terms = published(version)
    done = found = 0
    for example, url in claims(version):
        there = Around(lambda u: known.get(u.partition("|")[0]), partial(resolved, example), terms.member_of)
        for spoiled in _spoiled(example):
            of_r4 = {i.expression for i in validate.check(spoiled) if i.severity in BAD}
            ours = profiles.check(spoiled, us_core.profile(f"{url}|{version}"), around(spoiled))  # type: ignore[arg-type]
            theirs = profiles.check(spoiled, known[url], there)
            wanted = {i.expression for i in theirs if i.severity in BAD} - of_r4
            assert {i.expression for i in ours if i.severity in BAD} - of_r4 == wanted, (example["id"], url)
            done, found = done + 1, found + bool(wanted)
    assert done > 1000
    assert found > 300


def _spoiled(example: Resource) -> Iterator[Resource]:
    """The example, and the example without each of its elements, and with each list twice as long or cut off."""
    yield example
    for name, value in example.items():
        if name not in ("resourceType", "id", "meta", "text"):
            yield {key: inner for key, inner in example.items() if key not in (name, f"_{name}")}
            if isinstance(value, list):
                yield {**example, name: [*value, *value]}
            if isinstance(value, list) and len(value) > 1:
                yield {**example, name: value[:1]}


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_the_synthetic_people_keep_us_core(version: str) -> None:
    done = 0
    for resource in world(11, 4, us_core=version):
        for url in us_core.fitting(version, resource):
            found = profiles.check(resource, us_core.profile(url), around(resource))  # type: ignore[arg-type]
            assert [i for i in found if i.severity in BAD] == [], (resource["resourceType"], resource["id"], url)
            done += 1
    assert done > 200
