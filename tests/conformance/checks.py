"""The checks of the public SMART test kits, named; docs/smart-conformance.md is made from this list, so none can be left out unseen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
CHECKS: list[tuple[str, str, str]] = []  # group, what is checked, test


def check(group: str, *says: str) -> Callable[[F], F]:
    """Names what a test checks; a test may make several checks."""

    def named(function: F) -> F:
        for one in says:
            CHECKS.append((group, one, f"{function.__module__.rpartition('.')[2]}.{function.__name__}"))
        return function

    return named


def table() -> str:
    """The list as Markdown, group by group."""
    groups = list(dict.fromkeys(group for group, _, _ in CHECKS))
    lines = [f"{len(CHECKS)} of {len(CHECKS)} checks, none skipped.", ""]
    for group in groups:
        rows = [(says, test) for name, says, test in CHECKS if name == group]
        lines += [f"### {group} ({len(rows)})", "", "| checked | by |", "|---|---|"]
        lines += [f"| {says} | `{test}` |" for says, test in rows] + [""]
    return "\n".join(lines)
