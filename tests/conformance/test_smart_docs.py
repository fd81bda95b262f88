"""docs/smart-conformance.md is exactly what the tests check, and no check is skipped."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

from tests import docs
from tests.conformance.checks import CHECKS, table

HERE = Path(__file__).parent
MODULES = sorted(file.stem for file in HERE.glob("test_smart_*.py") if file.stem != "test_smart_docs")


def test_the_page_lists_every_check() -> None:
    for name in MODULES:
        importlib.import_module(f"tests.conformance.{name}")
    order = {name: number for number, name in enumerate(MODULES)}
    CHECKS.sort(key=lambda one: order[one[2].partition(".")[0]])
    assert len(CHECKS) >= 90
    assert len({(group, says) for group, says, _ in CHECKS}) == len(CHECKS)
    docs.check("smart-conformance.md", "checks", table())


def test_every_test_is_a_check_and_none_is_skipped() -> None:
    for name in MODULES:
        tree = ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))
        for one in tree.body:
            if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_"):
                marks = [ast.unparse(mark).partition("(")[0] for mark in one.decorator_list]
                assert "check" in marks, f"{name}.{one.name}"
                assert set(marks) <= {"check", "pytest.mark.parametrize", "pytest.mark.slow"}
