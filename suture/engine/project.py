"""Reads a project folder: flows, connections and maps together, with every finding; and what a flow's version is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from suture.connectors import connection
from suture.connectors.connection import FILES, Connection
from suture.engine import flow as flow_file
from suture.engine.plan import Door, Flow
from suture.errors import InvalidFile, NotFound, Problem, Problems
from suture.mapping.library import NAMED, Library
from suture.services.gateway import route_file
from suture.services.gateway.route_file import GatewayRoute, Plan, cross_problems
from suture.services.subscriptions import topic_file
from suture.standards.fhir.topics import Topic

FOLDERS = {
    "routes": "*.yaml",
    "topics": "*.yaml",
    "flows": "*.yaml",
    "connections": "*.yaml",
    "maps": "**/*",
    "tests": "*.yaml",
}
TEXT = {".yaml", ".yml", ".csv", ".json", ".hl7", ".txt"}


@dataclass(frozen=True, slots=True)
class Project:
    """What a project folder holds; `problems` says what could not be read."""

    folder: Path
    flows: Mapping[str, Flow] = field(default_factory=dict)
    connections: Mapping[str, Connection] = field(default_factory=dict)
    routes: Mapping[str, GatewayRoute] = field(default_factory=dict)
    plans: Mapping[str, Plan] = field(default_factory=dict)
    library: Library = field(default_factory=Library)
    map_files: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    topics: Mapping[str, Topic] = field(default_factory=dict)

    @property
    def errors(self) -> list[Problem]:
        return [p for p in self.problems if p.severity == "error"]

    def secrets(self) -> list[tuple[str, str]]:
        """Every secret that is named, and how `suture secret set` is told what it is for."""
        named = [
            (str(value), f"--connection {one.id}")
            for one in self.connections.values()
            for value in (*one.auth.values(), *one.with_.values())
        ]
        named += [(str(flow.source.with_.get("secret", "")), f"--hook {flow.id}") for flow in self.flows.values()]
        return [(name.removeprefix("secret:"), option) for name, option in named if name.startswith("secret:")]

    def raise_if_wrong(self) -> None:
        if self.errors:
            raise InvalidFile(self.errors)


def read(folder: Path) -> Project:
    """The project as far as it can be read."""
    problems: list[Problem] = []
    map_files = _map_files(folder, problems)
    library = Library(files=map_files)
    connections = _connections(folder, problems)
    known = flow_file.Known({c.id: c.kind for c in connections.values()}, lambda name: map_problem(library, name))
    flows = _flows(folder, known, problems)
    problems += _doors(flows)
    routes, plans = _routes(folder, connections, problems)
    found = _topics(folder, problems)
    return Project(folder, flows, connections, routes, plans, library, map_files, tuple(problems), found)


def map_problem(library: Library, name: str) -> str:
    """What is wrong with a map; nothing when it can be compiled."""
    try:
        library.require(name)
    except InvalidFile as error:
        first = error.problems[0]
        return f"{first.text} ({first.file}:{first.line})"
    except NotFound as error:
        return f"there is none of that name. {error.mend}"
    return ""


def map_problems(found: Project) -> list[Problem]:
    """Every finding of the project's own maps, used by a flow or not."""
    problems: list[Problem] = []
    for name in sorted(
        {match[1] for path, text in found.map_files.items() if path.endswith(".yaml") and (match := NAMED.search(text))}
    ):
        try:
            found.library.require(name)
        except InvalidFile as error:
            problems += error.problems
        except NotFound as error:
            problems.append(Problem(name, 0, 0, error.text, error.mend))
    return problems


def files(folder: Path, part: str) -> Iterator[Path]:
    """The files of one part of the project, in a fixed order."""
    for path in sorted((folder / part).glob(FOLDERS[part])):
        if path.is_file() and path.suffix in TEXT:
            yield path


def named(path: Path, folder: Path) -> str:
    """How a finding names a file: relative to where the project stands."""
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def text(path: Path, name: str, problems: list[Problem]) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        problems.append(Problem(name, 0, 0, f"cannot be read: {error.strerror}", "Look at its rights."))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        column = error.start - (error.object.rfind(b"\n", 0, error.start) + 1) + 1
        problems.append(Problem(name, line, column, "this is not UTF-8", "Save the file as UTF-8."))
    return None


def _map_files(folder: Path, problems: list[Problem]) -> dict[str, str]:
    found = {}
    for path in files(folder, "maps"):
        content = text(path, named(path, folder), problems)
        if content is not None:
            found[path.relative_to(folder / "maps").as_posix()] = content
    return found


def _connections(folder: Path, problems: list[Problem]) -> dict[str, Connection]:
    found: dict[str, Connection] = {}
    for path in files(folder, "connections"):
        name = named(path, folder)
        content = text(path, name, problems)
        if content is None:
            continue
        one, wrong = connection.lint(content, name)
        problems += wrong
        if one and one.id in found:
            problems.append(
                Problem(
                    name, 1, 1, f"two connections have the id '{one.id}'", f"The other stands in {found[one.id].file}."
                )
            )
        elif one:
            found[one.id] = one.below(folder)
            problems += _missing_files(found[one.id], name)
    return found


def _missing_files(one: Connection, file: str) -> list[Problem]:
    named = [str(one.with_[key]) for key in FILES if one.with_.get(key)]
    return [
        Problem(file, 1, 1, f"no file {path}", "Name a PEM file below the project folder.")
        for path in named
        if not Path(path).is_file()
    ]


def _flows(folder: Path, known: flow_file.Known, problems: list[Problem]) -> dict[str, Flow]:
    found: dict[str, Flow] = {}
    for path in files(folder, "flows"):
        name = named(path, folder)
        content = text(path, name, problems)
        if content is None:
            continue
        one, wrong = flow_file.lint(content, name, known)
        problems += wrong
        if one and one.id in found:
            problems.append(
                Problem(name, 1, 1, f"two flows have the id '{one.id}'", f"The other stands in {found[one.id].file}.")
            )
        elif one:
            found[one.id] = one
    return found


def _routes(
    folder: Path, connections: Mapping[str, Connection], problems: list[Problem]
) -> tuple[dict[str, GatewayRoute], dict[str, Plan]]:
    """The gateway's routes and plans."""
    routes: dict[str, GatewayRoute] = {}
    plans: dict[str, Plan] = {}
    for path in files(folder, "routes"):
        name = named(path, folder)
        content = text(path, name, problems)
        if content is None:
            continue
        one, wrong = route_file.lint(content, name, {c.id: c.kind for c in connections.values()})
        problems += wrong
        kept = routes if isinstance(one, GatewayRoute) else plans
        if one and one.id in kept:
            problems.append(
                Problem(name, 1, 1, f"two files have the id '{one.id}'", f"The other: {kept[one.id].file}.")
            )
        elif isinstance(one, GatewayRoute):
            routes[one.id] = one
        elif one:
            plans[one.id] = one
    problems += cross_problems(routes, plans)
    return routes, plans


def _topics(folder: Path, problems: list[Problem]) -> dict[str, Topic]:
    """The topics of subscriptions, by their canonical URL."""
    found: dict[str, Topic] = {}
    for path in files(folder, "topics"):
        name = named(path, folder)
        content = text(path, name, problems)
        one, wrong = topic_file.lint(content, name) if content is not None else (None, Problems(name))
        problems += wrong.found
        if one and one.url in found:
            problems.append(Problem(name, 1, 1, f"two topics have the url {one.url}", "Give each its own."))
        elif one:
            found[one.url] = one
    return found


def _doors(flows: Mapping[str, Flow]) -> list[Problem]:
    """Flows that share a port must agree on what the port needs."""
    first: dict[object, tuple[Flow, Door]] = {}
    problems = []
    for one in flows.values():
        if one.source.uses != "mllp.listen":
            continue
        other, door = first.setdefault(one.source.with_.get("port"), (one, one.source))
        if door.with_.get("charset") != one.source.with_.get("charset"):
            problems.append(
                Problem(
                    one.file,
                    1,
                    1,
                    f"shares its port with '{other.id}' but names another charset",
                    "Flows on one port must name the same charset.",
                )
            )
    return problems


def version(flow: Flow, parts: Mapping[str, str]) -> str:
    """A short name of exactly this flow text and these map and table texts."""
    digest = hashlib.sha256(flow.text.encode())
    for name in sorted(parts):
        digest.update(f"\0{name}\0{parts[name]}".encode())
    return digest.hexdigest()[:16]
