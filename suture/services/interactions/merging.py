"""Conditional updates that are merged with what is stored, and the memory of those that changed nothing.

A feed names the same organisation, place and person in every message: what was merged into exactly what is stored once
need not be read, merged and compared again while that version stands.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, Protocol

from suture.standards.fhir import json
from suture.store.resources import Row

MOST = 50_000  # updates remembered

Resource = dict[str, Any]


class Merge(Protocol):
    """How an update meets what is stored."""

    def __call__(self, stored: Resource | None, coming: Resource, url: str, /) -> Resource | None:
        """What is stored next (None: it stays as it is) when the entry with this fullUrl comes."""
        ...

    def plan(self, url: str, /) -> Any:
        """What else decides the outcome, as JSON."""
        ...


class Unchanged:
    """Which updates left which version as it was."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[int, int]] = {}

    def key(self, coming: Resource, plan: Any) -> bytes:
        """Stands for exactly this content and plan."""
        return blake2b(json.write([coming, plan]), digest_size=16).digest()

    def holds(self, key: bytes, row: Row) -> bool:
        return self._known.get(key) == (row.rid, row.version)

    def remember(self, key: bytes, row: Row) -> None:
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key] = (row.rid, row.version)
