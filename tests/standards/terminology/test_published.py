"""R4's own value sets give the codes that HL7 published as their expansions (hl7.fhir.r4.expansions)."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from suture.errors import SutureError
from suture.standards.terminology import core
from suture.standards.terminology.compose import members
from suture.standards.terminology.expansion import Wanted, expansion
from tests import docs, public
from tests.standards.terminology.worlds import Core

FLAT = Wanted(nested=False)
CUT = {"http://hl7.org/fhir/ValueSet/c80-doc-typecodes"}  # published with its first 1,000 of 6,401 codes only


def published() -> Iterator[dict[str, Any]]:
    with tarfile.open(public.path("fhir/hl7.fhir.r4.expansions-4.0.1.tgz")) as tar:
        for member in tar:
            if member.name.startswith("package/ValueSet-") and member.name.endswith(".json"):
                file = tar.extractfile(member)
                assert file is not None
                yield json.load(file)


def codes(contains: list[dict[str, Any]]) -> set[tuple[str, str]]:
    return {(row["system"], row["code"]) for row in contains}


def missing(value_set: dict[str, Any]) -> list[str]:
    """The code systems that are needed and not in R4."""
    found: list[str] = []
    for part in value_set["compose"]["include"]:
        if "system" in part and "concept" not in part and core.code_system(part["system"]) is None:
            found.append(part["system"])
        for url in part.get("valueSet", []):
            found += missing(core.value_set(url) or {"compose": {"include": []}})
    return found


@pytest.mark.slow
def test_every_expansion_whose_content_is_there_is_the_published_one() -> None:
    equal, absent = 0, Counter[str]()
    for theirs in published():
        ours = core.value_set(theirs["url"]) or theirs
        wanted = codes(theirs["expansion"].get("contains", []))
        try:
            found = expansion(members(Core(), ours), FLAT)
        except SutureError:
            lacking = missing(ours)
            assert lacking, theirs["url"]
            absent[lacking[0]] += 1
            continue
        got = codes(found.get("contains", []))
        assert wanted <= got if theirs["url"] in CUT else wanted == got, theirs["url"]
        equal += 1
    docs.check("terminology.md", "published expansions", table(equal, absent))


def table(equal: int, absent: Counter[str]) -> str:
    lines = [
        f"{equal} of {equal + absent.total()} published expansions are given code for code (one of them was published cut).",
        "The others need a code system that is not part of R4:",
        "",
        "| code system | value sets |",
        "|---|---|",
    ]
    return "\n".join([*lines, *(f"| {url} | {count} |" for url, count in sorted(absent.items()))])
