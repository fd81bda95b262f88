"""docs/us-core-conformance.md says how many checks of each profile and version were made and held, and which searches they are."""

from __future__ import annotations

from collections import defaultdict

from tests import docs
from tests.conformance.us_core import report, unchecked
from tests.conformance.us_core_guide import PACKAGES, guide
from tests.conformance.us_core_walk import Result


def test_the_page_says_what_held() -> None:
    reports = {version: report(version) for version in PACKAGES}
    rows = [f"| | {' | '.join(PACKAGES)} |", f"|---|{'---|' * len(PACKAGES)}"]
    rows += [_row(f"all that {how}", reports, "expectation", how) for how in ("SHALL", "SHOULD", "MAY")]
    groups = {one.group for results in reports.values() for one in results}
    rows += [_row(group, reports, "group", group) for group in sorted(groups)]
    docs.check("us-core-conformance.md", "results", "\n".join(rows))


def _row(name: str, reports: dict[str, list[Result]], field: str, value: str) -> str:
    cells = [[one for one in results if getattr(one, field) == value] for results in reports.values()]
    shown = [f"{sum(not one.why for one in cell)} of {len(cell)}" if cell else "" for cell in cells]
    return f"| {name} | {' | '.join(shown)} |"


def test_the_page_names_the_value_sets_that_are_not_there() -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for version in PACKAGES:
        for url in unchecked(version):
            found[url].append(version)
    rows = ["| value set | versions |", "|---|---|"]
    rows += [f"| `{url}` | {', '.join(versions)} |" for url, versions in sorted(found.items())]
    docs.check("us-core-conformance.md", "unchecked", "\n".join(rows))


def test_the_page_names_the_searches() -> None:
    asked: dict[str, dict[tuple[str, str], list[str]]] = defaultdict(lambda: defaultdict(list))
    for version in PACKAGES:
        for type in guide(version).types.values():
            for one in type.searches:
                asked[type.name][one.expectation, one.says].append(version)
    rows = ["| type | SHALL | SHOULD |", "|---|---|---|"]
    rows += [
        f"| {name} | {_listed(asked[name], 'SHALL')} | {_listed(asked[name], 'SHOULD')} |" for name in sorted(asked)
    ]
    docs.check("us-core-conformance.md", "searches", "\n".join(rows))


def _listed(asked: dict[tuple[str, str], list[str]], expectation: str) -> str:
    found = [(says, versions) for (how, says), versions in asked.items() if how == expectation]
    return ", ".join(f"`{says}`{_only(versions)}" for says, versions in found)


def _only(versions: list[str]) -> str:
    return "" if len(versions) == len(PACKAGES) else f" ({', '.join(versions)})"
