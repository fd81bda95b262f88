"""Reads a project's test files: which sample is sent through which flow, and what is expected of it (docs/flows.md, "Tests")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from suture import yaml
from suture.engine import project
from suture.engine.flow import text_of, unknown_keys
from suture.engine.plan import Place
from suture.engine.project import Project
from suture.engine.scope import Scope
from suture.errors import InvalidFile, Problem, Problems

KIND = "test/1"
KEYS = ("suture", "title", "flow", "send", "given", "answers", "expect")
EXPECTATIONS = {
    "step": ("step", "where", "times"),
    "sent": ("sent", "where", "times"),
    "loss": ("loss",),
    "ends": ("ends", "at", "reason"),
}
ENDS = ("done", "filtered", "failed")


@dataclass(frozen=True, slots=True)
class Expectation:
    """One line of `expect`."""

    kind: str
    values: Mapping[str, Any]
    at: Place


@dataclass(frozen=True, slots=True)
class FlowTest:
    """One test file."""

    file: str
    flow: str
    send: bytes
    given: tuple[bytes, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    expect: tuple[Expectation, ...] = ()
    title: str = ""


def lint(text: str, file: str, folder: Path, flows: Mapping[str, Any]) -> tuple[FlowTest | None, list[Problem]]:
    """The test as far as it can be read, and every finding; `folder` is where its samples are looked for."""
    problems = Problems(file)
    try:
        doc = yaml.load(text, file)
    except InvalidFile as error:
        return None, list(error.problems)
    if not isinstance(doc, dict) or doc.get("suture") != KIND:
        problems.add(yaml.START, "this is not a test file", f"Begin with: suture: {KIND}")
        return None, problems.found
    unknown_keys(doc, KEYS, "a test", problems)
    flow = text_of(doc, "flow", problems)
    if flow not in flows:
        problems.add(yaml.value_at(doc, "flow"), f"no flow named '{flow}'", f"There are: {', '.join(flows) or 'none'}.")
    given = doc.get("given")
    listed = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    test = FlowTest(
        file,
        flow,
        _sample(doc, "send", doc.get("send"), folder, problems),
        tuple(_sample(doc, "given", name, folder, problems) for name in listed),
        yaml.plain(doc["answers"]) if isinstance(doc.get("answers"), dict) else {},
        tuple(_expectations(doc, problems)),
        text_of(doc, "title", problems),
    )
    return (None if problems.errors else test), problems.found


def _sample(doc: Mapping[str, Any], key: str, name: Any, folder: Path, problems: Problems) -> bytes:
    for place in (folder / "tests", folder):
        if isinstance(name, str) and name and (place / name).is_file():
            return sample((place / name).read_bytes())
    problems.add(
        yaml.value_at(doc, key), f"'{key}' names no file", "Write a path below tests/, such as samples/adt.hl7"
    )
    return b""


def _expectations(doc: Mapping[str, Any], problems: Problems) -> list[Expectation]:
    listed, found = doc.get("expect"), []
    if not isinstance(listed, list) or not listed:
        problems.add(
            yaml.at(doc, "expect"), "a test expects something", "Write expect: [{step: save, where: entry.count() = 1}]"
        )
        return []
    for i, item in enumerate(listed):
        kind = next((k for k in EXPECTATIONS if isinstance(item, dict) and k in item), "")
        if not kind:
            problems.add(
                yaml.at(listed, i), "an expectation names a step, sent, loss or ends", "Write {step: save, where: …}"
            )
            continue
        unknown_keys(item, EXPECTATIONS[kind], f"'{kind}'", problems)
        _check_where(item, problems)
        if kind == "ends" and item["ends"] not in ENDS:
            problems.add(yaml.value_at(item, "ends"), f"'ends' must be one of {', '.join(ENDS)}")
        found.append(Expectation(kind, yaml.plain(item), yaml.at(listed, i)))
    return found


def _check_where(item: Mapping[str, Any], problems: Problems) -> None:
    if "where" in item:
        Scope(problems).expression(text_of(item, "where", problems), yaml.value_at(item, "where"))


def sample(raw: bytes) -> bytes:
    """HL7 v2 samples are kept with line ends of the editor; the standard wants CR."""
    return raw.replace(b"\r\n", b"\r").replace(b"\n", b"\r") if raw.startswith(b"MSH") else raw


def tests_of(found: Project, paths: list[Path], problems: list[Problem]) -> list[FlowTest]:
    """The project's tests, or those of the given files."""
    tests = []
    for path in paths or project.files(found.folder, "tests"):
        name = project.named(path, found.folder)
        content = project.text(path, name, problems)
        if content is None:
            continue
        test, wrong = lint(content, name, found.folder, found.flows)
        problems += wrong
        tests += [test] if test else []
    return tests
