"""`suture import --synthetic`: people who do not exist, written as a file and loaded like any other.

https://hl7.org/fhir/us/core/
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from suture.errors import Invalid
from suture.sandbox import synthetic
from suture.standards.fhir import json

VERSIONS = ("6.1.0", "7.0.0", "8.0.0")
MOST = 100_000  # people of one import


@contextmanager
def written(count: int, seed: int, us_core: str) -> Iterator[list[Path]]:
    """The files of `count` people, gone afterwards; none for nobody."""
    if us_core not in VERSIONS:
        raise Invalid("no version of US Core that is known", where="--us-core", mend=f"One of {', '.join(VERSIONS)}.")
    if not 0 <= count <= MOST:
        raise Invalid("not a number of people", where="--synthetic", mend=f"Write a number up to {MOST:,}.")
    with TemporaryDirectory(prefix="suture-synthetic-") as folder:
        file = Path(folder) / "synthetic.ndjson"
        with file.open("wb") as out:
            for resource in synthetic.world(seed, count, us_core=us_core) if count else ():
                out.write(json.write(resource) + b"\n")
        yield [file] if count else []
