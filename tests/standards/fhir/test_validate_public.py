"""Public resources give no false alarm: R4's own package, US Core, Da Vinci, Synthea."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import zstandard

from suture.standards.fhir import json
from suture.standards.fhir.validate import check
from tests import public

# what is truly wrong in them: (type, place without numbers, first word of the text)
R4 = {
    ("SearchParameter", "SearchParameter.base", "SearchParameter"),
    ("SearchParameter", "SearchParameter.id", "This"),  # longer than 64 characters
    ("StructureDefinition", "StructureDefinition", "sdf-4:"),  # Request and its like stem from nothing
}
GUIDES = {
    ("OperationDefinition", "OperationDefinition.parameter", "opd-3:"),
    ("OperationDefinition", "OperationDefinition.parameter.part", "opd-3:"),
    ("DiagnosticReport", "DiagnosticReport.presentedForm.hash", "This"),  # dots in base64
    # an R4 guide that speaks of R5's SubscriptionTopic
    ("ImplementationGuide", "ImplementationGuide.definition.resource.reference.reference", "The"),
}


def packaged(name: str) -> Iterator[dict[str, Any]]:
    with tarfile.open(public.path(f"fhir/{name}")) as tar:
        for member in tar:
            if re.fullmatch(r"package/(?:example/)?[A-Z]\w+-.+\.json", member.name):
                yield json.read(tar.extractfile(member).read())  # type: ignore[union-attr]


def findings(resources: Iterator[dict[str, Any]], at_least: int) -> set[tuple[str, str, str]]:
    found, count = set(), 0
    for resource in resources:
        count += 1
        for issue in check(resource):
            place = re.sub(r"\[\d+\]", "", issue.expression)
            found.add((resource["resourceType"], place, issue.text.partition(" ")[0]))
    assert count >= at_least
    return found


@pytest.mark.slow
def test_r4_itself() -> None:
    assert findings(packaged("hl7.fhir.r4.core-4.0.1.tgz"), 4500) == R4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "count"),
    [("us_core_311", 200), ("us_core_610", 350), ("us_core_700", 400), ("us_core_800", 400), ("davinci_pas_2.0.1", 100), ("davinci_crd_2.0.1", 50), ("pdex.r4", 150)],
)  # fmt: skip
def test_guides(name: str, count: int) -> None:
    assert findings(packaged(f"{name}.tgz"), count) <= GUIDES


def synthea(every: int) -> Iterator[dict[str, Any]]:
    packed = public.path("smart-synthea-r4-615patients.tar.zst")
    with (
        packed.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        for number, member in enumerate(m for m in tar if m.name.endswith(".json")):
            if number % every == 0:
                bundle = json.read(tar.extractfile(member).read(), max_size=1 << 30)  # type: ignore[union-attr]
                yield bundle
                yield from (entry["resource"] for entry in bundle["entry"])


@pytest.mark.slow
def test_a_sample_of_synthea() -> None:
    """Every tenth bundle; docs/validation.md says what the whole set gave."""
    assert findings(synthea(every=10), 10_000) == set()
