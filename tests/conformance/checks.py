"""The checks of the public test kits, named; docs/KIT-conformance.md is made from this list, so none can be left out unseen."""

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


def of(kit: str) -> list[tuple[str, str, str]]:
    """Those of the modules test_KIT_….py, module by module."""
    found = [one for one in CHECKS if one[2].startswith(f"test_{kit}_")]
    return sorted(found, key=lambda one: one[2].partition(".")[0])


def table(kit: str) -> str:
    """The list as Markdown, group by group."""
    checks = of(kit)
    groups = list(dict.fromkeys(group for group, _, _ in checks))
    lines = [f"{len(checks)} of {len(checks)} checks, none skipped.", ""]
    for group in groups:
        rows = [(says, test) for name, says, test in checks if name == group]
        lines += [f"### {group} ({len(rows)})", "", "| checked | by |", "|---|---|"]
        lines += [f"| {says} | `{test}` |" for says, test in rows] + [""]
    return "\n".join(lines)
