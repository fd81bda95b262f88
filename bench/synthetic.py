"""Synthetic families by CPU, a record at a time: `python -m bench.synthetic [PERSONS]`."""

from __future__ import annotations

import sys
import time

from suture.sandbox.synthetic import world
from suture.standards.fhir import json

ROUNDS = 3


def main() -> None:
    persons = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds, found, size = min(measured(persons) for _ in range(ROUNDS))
    print(f"{persons} persons, {found} resources, {size / found:,.0f} bytes each")
    print(f"{'made and written as NDJSON':<44}{seconds / found * 1e6:>9.1f} us {found / seconds:>10,.0f}/s")


def measured(persons: int) -> tuple[float, int, int]:
    """CPU seconds, resources, bytes."""
    begun, found, size = time.process_time(), 0, 0
    for resource in world(7, persons):
        found, size = found + 1, size + len(json.write(resource))
    return time.process_time() - begun, found, size


if __name__ == "__main__":
    main()
