"""Reading and validating: CPU per resource, rate on one core, and the ratio to json and fhir.resources in the same run.

python -m bench.validation [--synthea FILE.tar.zst]; fhir.resources is measured beside it where it is installed (the extra `bench`).

Without a file: charts of the sandbox's synthetic people. With it: the public Synthea R4 bundles, 12 of them.
"""

from __future__ import annotations

import gc
import json as stdlib
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import zstandard

from suture.sandbox.people import chart, people
from suture.sandbox.synthetic import world
from suture.standards.fhir import json, profiles, us_core
from suture.standards.fhir.inside import resolved
from suture.standards.fhir.us_core import Named
from suture.standards.fhir.us_core.held import member_of
from suture.standards.fhir.validate import check

try:
    from fhir.resources.R4B import get_fhir_model_class
except ImportError:
    get_fhir_model_class = None

BUNDLES = 12


def synthea(file: Path) -> Iterator[dict[str, Any]]:
    with (
        file.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as tar,
    ):
        members = (m for m in tar if m.name.endswith(".json"))
        for _, member in zip(range(BUNDLES), members, strict=False):
            held = tar.extractfile(member)
            assert held is not None
            yield from (entry["resource"] for entry in json.read(held.read())["entry"])


def cpu(call: Callable[[Any], Any], values: list[Any]) -> float:
    """Microseconds of CPU per value, the best of three rounds."""
    rounds = []
    for _ in range(3):
        started = time.process_time()
        for value in values:
            call(value)
        rounds.append(time.process_time() - started)
    return min(rounds) / len(values) * 1e6


def peer(resource: dict[str, Any]) -> Any:
    """fhir.resources' R4B models, which check types and cardinalities, no invariants and no bindings."""
    return get_fhir_model_class(resource["resourceType"]).model_validate(resource)


def accepted(resources: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for resource in resources:
        try:
            peer(resource)
        except Exception:
            continue
        found.append(resource)
    return found


def row(name: str, micros: float, size: float, other: float = 0.0) -> None:
    ratio = f"{other / micros:7.1f}x" if other else ""
    print(f"{name:<34} {micros:9.2f} µs {1e6 / micros:10,.0f}/s {size / micros:7.0f} MB/s {ratio}")


def main(arguments: list[str]) -> None:
    if "--synthea" in arguments:
        resources = list(synthea(Path(arguments[arguments.index("--synthea") + 1])))
    else:
        resources = [resource for person in people(1, 150) for resource in chart(person, 1)]
    raws = [json.write(resource) for resource in resources]
    findings = [issue for resource in resources for issue in check(resource)]
    size = sum(map(len, raws)) / len(raws)
    print(f"{len(resources)} resources, {size:.0f} bytes on average, {len(findings)} findings")
    gc.collect()
    gc.freeze()
    gc.disable()
    standard = cpu(stdlib.loads, raws)
    row("json.loads", standard, size)
    row("orjson.loads", cpu(orjson.loads, raws), size)
    row("suture json.read (strict, exact)", cpu(json.read, raws), size, standard)
    row("suture json.write", cpu(json.write, resources), size)
    if get_fhir_model_class is None:
        print("fhir.resources is not installed, so nothing is compared with it: pip install 'fhir.resources>=8'")
    else:
        peer_rows(resources)
    row("suture check (all)", cpu(check, resources), size)
    us_core_rows()


def peer_rows(resources: list[dict[str, Any]]) -> None:
    """The same sample of what both take, by both."""
    few = accepted(resources[:: max(1, len(resources) // 300)])
    small = sum(len(json.write(resource)) for resource in few) / len(few)
    other = cpu(peer, few)
    row("fhir.resources (sample)", other, small)
    row("suture check (the same sample)", cpu(check, few), small, other)


def us_core_rows() -> None:
    """US Core over the synthetic people that are shaped for it: all of them, and those without a finding of any kind."""
    resources = [json.read(json.write(one)) for one in world(11, 25) if us_core.fitting(us_core.NEWEST, one)]
    wanted = Named(us_core.NEWEST)
    good = [one for one in resources if not us_core.held(wanted, one)]
    for name, some in (("all", resources), ("without a finding", good)):
        size = sum(len(json.write(one)) for one in some) / len(some)
        row(f"US Core, {name} ({len(some)})", cpu(lambda one: us_core.held(wanted, one), some), size)
    size = sum(len(json.write(one)) for one in good) / len(good)
    row("R4 and US Core, without a finding", cpu(lambda one: [*check(one), *us_core.held(wanted, one)], good), size)
    row("US Core, the slow walk alone", cpu(slowly, good[:500]), size)


def slowly(resource: dict[str, Any]) -> None:
    around = profiles.Around(us_core.profile, partial(resolved, resource), member_of)
    for url in us_core.fitting(us_core.NEWEST, resource):
        found = us_core.profile(url)
        if found is not None:
            profiles.check(resource, found, around)


if __name__ == "__main__":
    main(sys.argv[1:])
