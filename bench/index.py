"""Index extraction by CPU, beside fhirpathpy evaluating the same expressions: `python -m bench.index [FOLDER of JSON bundles]`.

Without a folder a made-up chart of every frequent type is used.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import fhirpathpy
import orjson
from fhirpathpy.models import models

from bench.search import resources as made_up
from suture.standards.fhir.definitions import search_parameters
from suture.standards.fhir.index import Rows, extract

ROUNDS = 3
PEER_SAMPLE = 60  # resources that the peer is asked about; it is slow


def main() -> None:
    resources = list(from_folder(Path(sys.argv[1])) if len(sys.argv) > 1 else made_up(5_000))
    for resource in resources:
        extract(resource)  # the functions are generated at first sight
    ours = min(cpu(lambda: run(resources)) for _ in range(ROUNDS)) / len(resources)
    sample = resources[:: max(1, len(resources) // PEER_SAMPLE)][:PEER_SAMPLE]
    peer_expressions = compiled({r["resourceType"] for r in sample})
    theirs = cpu(lambda: [evaluate(peer_expressions, r) for r in sample]) / len(sample)
    alike = min(cpu(lambda: run(sample * 50)) for _ in range(ROUNDS)) / len(sample) / 50
    rows = sum(counted(extract(r)) for r in resources) / len(resources)
    print(
        f"{len(resources)} resources, {rows:.1f} rows each, types: {dict(Counter(r['resourceType'] for r in resources).most_common(6))}"
    )
    print(f"{'suture, all R4 parameters':<44}{ours * 1e6:>9.1f} us {1 / ours:>10.0f}/s")
    print(f"{'suture, the peer sample':<44}{alike * 1e6:>9.1f} us {1 / alike:>10.0f}/s")
    print(f"{'fhirpathpy, compiled, the same expressions':<44}{theirs * 1e6:>9.1f} us {1 / theirs:>10.0f}/s")
    print(f"ratio on the same resources: {theirs / alike:.0f}x (fhirpathpy makes values only, no rows)")


def run(resources: list[dict[str, Any]]) -> None:
    for resource in resources:
        extract(resource)


def counted(rows: Rows) -> int:
    return sum(len(part) for part in rows[1:])


def from_folder(folder: Path) -> Iterator[dict[str, Any]]:
    """Entries of the first bundles of a folder, urn:uuid references as local ones."""
    for file in sorted(folder.rglob("*.json"))[:40]:
        entries = orjson.loads(file.read_bytes()).get("entry", [])
        text = orjson.dumps([e["resource"] for e in entries]).decode()
        for entry in entries:
            text = text.replace(entry["fullUrl"], f"{entry['resource']['resourceType']}/{entry['resource']['id']}")
        yield from orjson.loads(text)


def compiled(types: set[str]) -> dict[str, list[Callable[[Any], Any]]]:
    """Every expression of the types that fhirpathpy can compile; those with resolve() are left out, it has none."""
    found: dict[str, list[Callable[[Any], Any]]] = {}
    for type in types:
        for parameter in search_parameters(type).values():
            if parameter.expression and "resolve()" not in parameter.expression and parameter.type != "composite":
                found.setdefault(type, []).append(fhirpathpy.compile(parameter.expression, models["r4"]))
    return found


def evaluate(expressions: dict[str, list[Callable[[Any], Any]]], resource: dict[str, Any]) -> None:
    for expression in expressions[resource["resourceType"]]:
        with suppress(ValueError):  # it refuses `as` on lists
            expression(resource)


def cpu(call: Callable[[], Any]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
