"""docs/…-conformance.md are exactly what the tests check, and no check is skipped."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests import docs
from tests.conformance.checks import of, table

HERE = Path(__file__).parent
KITS = {"smart": 90, "bulk": 30, "subscriptions": 48, "us_core": 30}  # at least so many checks


def modules(kit: str) -> list[str]:
    return sorted(file.stem for file in HERE.glob(f"test_{kit}_*.py"))


@pytest.mark.parametrize("kit", KITS)
def test_the_page_lists_every_check(kit: str) -> None:
    for name in modules(kit):
        importlib.import_module(f"tests.conformance.{name}")
    found = of(kit)
    assert len(found) >= KITS[kit]
    assert len({(group, says) for group, says, _ in found}) == len(found)
    docs.check(f"{kit.replace('_', '-')}-conformance.md", "checks", table(kit))


@pytest.mark.parametrize("kit", KITS)
def test_every_test_is_a_check_and_none_is_skipped(kit: str) -> None:
    for name in modules(kit):
        tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
        for one in tree.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_"):
                marks = [ast.unparse(mark).partition("(")[0] for mark in one.decorator_list]
                assert "check" in marks, f"{name}.{one.name}"
                assert set(marks) <= {
                    "check",
                    "pytest.mark.parametrize",
                    "pytest.mark.slow",
                    "every_level",
                    "every_version",
                }
