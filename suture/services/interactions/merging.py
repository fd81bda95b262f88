"""Conditional updates that are merged with what is stored (docs/map-language.md)."""

from __future__ import annotations

from typing import Any, Protocol

Resource = dict[str, Any]


class Merge(Protocol):
    """How an update meets what is stored."""

    def __call__(self, stored: Resource | None, coming: Resource, url: str, /) -> Resource | None:
        """What is stored next (None: it stays as it is) when the entry with this fullUrl comes."""
        ...

    def plan(self, url: str, /) -> Any:
        """What else decides the outcome, as JSON."""
        ...
