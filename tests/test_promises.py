"""What is declared is kept: settings and fields are read, functions are called, commands and pages are found."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from suture import cli
from suture.component import Component
from suture.connectors.connection import AUTH, KINDS
from suture.engine.catalog import SOURCES, STEPS
from suture.settings import TABLE

ROOT = Path(__file__).parents[1]
TEXTS = {file: file.read_text(encoding="utf-8") for file in sorted((ROOT / "suture").rglob("*.py"))}
DOCS = ROOT / "docs"
# what only tests call: a clock that can be set, traffic, and single looks at what the product reads in bulk
SKIPPING = {  # docs/known-misses.md says so
    "tests/conformance/test_docs_smart.py": "curl",
    "tests/journeys/test_console.py": "browser",
    "tests/journeys/test_first_feed.py": "curl",
    "tests/journeys/test_smart_app.py": "browser",
    "tests/journeys/test_smart_pages.py": "browser",
    "tests/npm.py": "npm",
    "tests/postgres.py": "postgresql",
    "tests/public.py": "public suites",
    "tests/server/test_docs.py": "curl",
    "tests/server/test_docs_apps.py": "curl",
}
FOR_TESTS = {"SetClock", "event_name", "oru", "segment_name"}


@pytest.mark.parametrize("name", [setting.name for setting in TABLE])
def test_every_setting_is_read(name: str) -> None:
    ways = {f'"{name}"', name.replace(".", "__")}
    if name.endswith((".host", ".port")):
        ways.add(f"{{name}}.{name.partition('.')[2]}")
    if "." not in name:
        ways.add(f"settings.{name}")
    others = (text for file, text in TEXTS.items() if file.name != "settings.py")
    assert any(way in text for text in others for way in ways)


@pytest.mark.parametrize("component", [*SOURCES.values(), *STEPS.values(), *KINDS.values(), *AUTH.values()])
def test_every_field_of_a_component_is_read(component: Component) -> None:
    whole = re.sub(r'Field\(\s*"\w+"', "", "\n".join(TEXTS.values()))
    assert [field.name for field in component.fields if f'"{field.name}"' not in whole] == []


def test_every_function_and_class_is_used() -> None:
    words = Counter(word for text in TEXTS.values() for word in re.findall(r"\w+", text))
    unused = {
        node.name
        for text in TEXTS.values()
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.decorator_list
        and words[node.name] == 1
    }
    assert unused == FOR_TESTS


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_stands_in_the_docs(command: str) -> None:
    pages = [*DOCS.rglob("*.md"), ROOT / "README.md"]
    assert any(re.search(rf"suture {command}\b", page.read_text(encoding="utf-8")) for page in pages)


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [DOCS / "index.md"]
    while waiting:
        page = waiting.pop()
        if page in reached:
            continue
        reached.add(page)
        if page.is_dir():
            waiting += page.glob("*.md")
        else:
            links = re.findall(r"\]\(([^)#:]+)", page.read_text(encoding="utf-8"))
            waiting += [(page.parent / link).resolve() for link in links if (page.parent / link).exists()]
    assert sorted(set(DOCS.rglob("*.md")) - reached) == []


def test_the_change_log_says_everything_once() -> None:
    lines = [line for line in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines() if line]
    assert [line for line, times in Counter(lines).items() if times > 1] == []


def test_only_what_the_docs_name_is_skipped() -> None:
    mark = re.compile(r"pytest\.skip|mark\.skip|importorskip|xfail")
    here = Path(__file__).resolve()
    found = [file for file in (ROOT / "tests").rglob("*.py") if file != here and mark.search(file.read_text("utf-8"))]
    assert sorted(str(file.relative_to(ROOT)) for file in found) == sorted(SKIPPING)
    told = (DOCS / "known-misses.md").read_text(encoding="utf-8").lower()
    assert [reason for reason in SKIPPING.values() if reason not in told] == []
