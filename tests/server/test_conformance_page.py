"""docs/conformance.md says what is registered."""

from __future__ import annotations

from suture.services.interactions import capabilities
from suture.services.operations.operation import Operation
from suture.services.operations.table import TABLE
from tests import docs


def test_interactions() -> None:
    rows = [
        "| level | interactions |",
        "|---|---|",
        f"| each resource type | {', '.join(capabilities.ON_TYPES)} |",
        f"| the whole server | {', '.join(capabilities.ON_SYSTEM)} |",
    ]
    docs.check("conformance.md", "interactions", "\n".join(rows))


def test_operations() -> None:
    rows = ["| operation | at | what it does | asks for |", "|---|---|---|---|"]
    rows += [f"| `${o.name}` | {places(o)} | {o.says} | {o.scope or 'r of what it shows'} |" for o in TABLE]
    docs.check("conformance.md", "operations", "\n".join(rows))


def places(operation: Operation) -> str:
    shown = (pattern.replace("{type}", "Type").replace("{id}", "ID") for pattern in operation.patterns)
    return ", ".join(f"`{place}`" for place in shown)
