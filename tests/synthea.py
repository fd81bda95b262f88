"""Synthetic people from the public suites, their references made local."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from itertools import islice
from typing import Any

import orjson
import zstandard

from tests import public


def resources(patients: int) -> list[dict[str, Any]]:
    """The resources of a few people, each once."""
    found: dict[str, dict[str, Any]] = {}
    for bundle in islice(_bundles(), patients):
        entries = orjson.loads(bundle)["entry"]
        names = {e["fullUrl"]: f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries}
        text = orjson.dumps([e["resource"] for e in entries]).decode()
        text = re.sub(r"urn:uuid:[0-9a-f-]{36}", lambda m, n=names: n.get(m[0], m[0]), text)  # type: ignore[misc]
        found |= {f"{r['resourceType']}/{r['id']}": r for r in orjson.loads(text)}
    return list(found.values())


def _bundles() -> Iterator[bytes]:
    """Bundles of people with a middling history."""
    with (
        public.path("smart-synthea-r4-615patients.tar.zst").open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        for member in archive:
            if member.isfile() and 300_000 < member.size < 700_000:
                file = archive.extractfile(member)
                assert file is not None
                yield file.read()
