"""Reads a flow file and finds everything that is wrong with it, with line, column and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from suture import component, yaml
from suture.component import Component, seconds
from suture.engine.catalog import KIND_OF_CONNECTION, LOCAL, SOURCES, STEPS
from suture.engine.expressions import KEYWORDS, ROOTS, texts
from suture.engine.plan import Case, Door, Flow, Retry, Step
from suture.engine.scope import Scope, of_source
from suture.engine.steps.validate import profile_problem
from suture.errors import InvalidFile, Problem, Problems

KIND = "flow/1"
KEYS = (
    "suture", "id", "title", "description", "enabled", "source", "order_by", "on_blocked", "settings", "steps",
    "on_error", "retention",
)  # fmt: skip
STEP_KEYS = ("id", "uses", "title", "with", "wait", "cases", "else")
FLOW_ID = re.compile(r"[a-z][a-z0-9-]*")
STEP_ID = re.compile(r"[a-z][a-z0-9_]*")
BLOCKED = ("block", "park", "dead-letter")
SHOWN = ("redacted", "full")
DEFAULT_ORDER = {"mllp.listen": "PID-3.1"}  # a lane per patient, unless the flow says otherwise


@dataclass(frozen=True, slots=True)
class Known:
    """What stands around a flow: the kinds of the project's connections, and what is wrong with a map it names."""

    connections: Mapping[str, str] | None  # None: not looked at
    map_problem: Callable[[str], str]  # '' when the map exists and is right; otherwise the finding


def read(text: str, file: str, known: Known) -> Flow:
    """The flow; raises InvalidFile with every problem."""
    flow, found = lint(text, file, known)
    errors = [p for p in found if p.severity == "error"]
    if errors or flow is None:
        raise InvalidFile(errors)
    return flow


def lint(text: str, file: str, known: Known) -> tuple[Flow | None, list[Problem]]:
    """The flow as far as it can be read, and every finding."""
    problems = Problems(file)
    try:
        document = yaml.load(text, file)
    except InvalidFile as error:
        return None, list(error.problems)
    if not isinstance(document, dict):
        problems.add(yaml.START, "a flow file is a table of keys", f"Begin with: suture: {KIND}")
        return None, problems.found
    flow = _Reader(document, problems, known).flow(text)
    return flow, problems.found


def unknown_keys(node: Mapping[str, Any], keys: tuple[str, ...], what: str, problems: Problems) -> None:
    for key in node:
        if key not in keys:
            close = get_close_matches(str(key), keys, 1)
            mend = f"Did you mean '{close[0]}'?" if close else f"It knows: {', '.join(keys)}."
            problems.add(yaml.at(node, key), f"{what} has no key '{key}'", mend)


def text_of(node: Mapping[str, Any], key: str, problems: Problems, default: str = "") -> str:
    value = node.get(key)
    if value is None:
        return default
    if not isinstance(value, str):
        problems.add(yaml.value_at(node, key), f"'{key}' must be a text", "Put it in quotes.")
        return default
    return str(value)


def choice(node: Mapping[str, Any], key: str, choices: tuple[str, ...], problems: Problems) -> str:
    value = text_of(node, key, problems, choices[0])
    if value not in choices:
        problems.add(
            yaml.value_at(node, key), f"'{key}' must be one of {', '.join(choices)}", f"Write {key}: {choices[0]}"
        )
        return choices[0]
    return value


def table(node: Mapping[str, Any], key: str, problems: Problems) -> Mapping[str, Any]:
    """The table under `key`, or an empty one with a finding when something else stands there."""
    value = node.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        problems.add(yaml.value_at(node, key), f"'{key}' must be a table of keys", f"Write {key}: {{key: value}}")
        return {}
    return value


class _Reader:
    """Reads one document; findings are collected, nothing is raised."""

    def __init__(self, document: Mapping[str, Any], problems: Problems, known: Known) -> None:
        self.document = document
        self.problems = problems
        self.known = known

    def flow(self, text: str) -> Flow | None:
        doc, problems = self.document, self.problems
        if doc.get("suture") != KIND:
            problems.add(yaml.value_at(doc, "suture"), "this is not a flow file", f"Begin with: suture: {KIND}")
        unknown_keys(doc, KEYS, "a flow", problems)
        lines = text.splitlines()
        source = self._source(doc, lines)
        scope = Scope(problems, (), frozenset(self._ids(doc.get("steps"))), of_source(source), lines)
        return Flow(
            id=self._id(doc),
            title=text_of(doc, "title", problems, str(doc.get("id", ""))),
            source=source,
            steps=self._steps(doc, "steps", scope),
            order_by=self._order(doc, source, scope),
            on_blocked=choice(doc, "on_blocked", BLOCKED, problems),
            retry=self._retry(table(doc, "on_error", problems)),
            keep=self._keep(table(doc, "retention", problems)),
            show=choice(table(doc, "retention", problems), "show", SHOWN, problems),
            enabled=doc.get("enabled") is not False,
            settings=yaml.plain(table(doc, "settings", problems)),
            file=problems.file,
            text=text,
        )

    def _id(self, doc: Mapping[str, Any]) -> str:
        value = doc.get("id")
        if not isinstance(value, str) or not FLOW_ID.fullmatch(value):
            self.problems.add(
                yaml.value_at(doc, "id"), "a flow needs an id of small letters, digits and '-'", "Write id: lab-results"
            )
            return ""
        return str(value)

    def _order(self, doc: Mapping[str, Any], source: Door, scope: Scope) -> str:
        text = text_of(doc, "order_by", self.problems, DEFAULT_ORDER.get(source.uses, ""))
        if text and text != "none":
            scope.expression(text, yaml.value_at(doc, "order_by"))
        return "" if text == "none" else text

    def _source(self, doc: Mapping[str, Any], lines: Sequence[str]) -> Door:
        node = table(doc, "source", self.problems)
        if not node:
            self.problems.add(
                yaml.at(doc, "source"), "a flow needs a source", f"Write source: {SOURCES['mllp.listen'].example}"
            )
            return Door("", {})
        unknown_keys(node, ("uses", "with"), "a source", self.problems)
        found = self._component(node, SOURCES, "source")
        if found is None:
            return Door("", {})
        content = of_source(Door(found.name, table(node, "with", Problems(""))))
        values = self._fields(found, node, Scope(self.problems, content=content, lines=lines))
        return Door(found.name, values)

    def _component(self, node: Mapping[str, Any], catalog: Mapping[str, Component], role: str) -> Component | None:
        name = node.get("uses")
        if isinstance(name, str) and name in catalog:
            return catalog[name]
        close = get_close_matches(str(name), catalog, 1)
        mend = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(catalog)}."
        text = f"no {role} named '{name}'" if name else f"a {role} needs 'uses'"
        self.problems.add(yaml.value_at(node, "uses"), text, mend)
        return None

    def _fields(self, found: Component, node: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
        written = table(node, "with", self.problems)
        values = component.read(found, written or _Empty(node), self.problems)
        for field in found.fields:
            value = values[field.name]
            if value is not None and field.name in written:
                self._field(found, field.kind, field.name, value, written, scope)
        return {name: yaml.plain(value) for name, value in values.items()}

    def _field(
        self, found: Component, kind: str, name: str, value: Any, written: Mapping[str, Any], scope: Scope
    ) -> None:
        at = yaml.value_at(written, name)
        if kind == "expression" or (kind == "value" and isinstance(value, str)):
            scope.expression(str(value), at)
        elif kind in {"template", "object", "any", "list", "value"}:
            for text, place in texts(value, at):
                scope.template(text, place)
        elif kind == "connection":
            self._connection(found.name, str(value), at)
        elif kind == "map":
            problem = self.known.map_problem(str(value))
            if problem:
                self.problems.add(at, f"map '{value}': {problem}", "suture check shows what is wrong with maps.")
        elif kind == "profile":
            problem, mend = profile_problem(str(value))
            if problem:
                self.problems.add(at, problem, mend)
        elif kind == "secret" and not str(value).startswith("secret:"):
            self.problems.add(
                at, f"'{name}' must name a secret, not hold one", "Write secret:NAME, then: suture secret set NAME"
            )

    def _connection(self, uses: str, name: str, at: tuple[int, int]) -> None:
        wanted = KIND_OF_CONNECTION[uses]
        if self.known.connections is None or (name == LOCAL and wanted == "fhir" and uses in STEPS):
            return
        kind = self.known.connections.get(name)
        if kind is None:
            close = get_close_matches(name, self.known.connections, 1)
            mend = (
                f"Did you mean '{close[0]}'?"
                if close
                else f"Write connections/{name}.yaml: {{suture: connection/1, id: {name}, uses: {wanted}, …}}"
            )
            self.problems.add(at, f"no connection named '{name}'", mend)
        elif kind != wanted:
            self.problems.add(
                at,
                f"'{uses}' needs a connection of kind {wanted}; '{name}' is of kind {kind}",
                "Name another connection.",
            )

    def _ids(self, steps: Any) -> list[str]:
        """Every step id anywhere below, in order, as far as the tree can be walked."""
        found: list[str] = []
        for step in steps if isinstance(steps, list) else ():
            if not isinstance(step, dict):
                continue
            if isinstance(step.get("id"), str):
                found.append(step["id"])
            cases = step.get("cases")
            for case in cases if isinstance(cases, list) else ():
                found += self._ids(case.get("steps")) if isinstance(case, dict) else []
            found += self._ids(step.get("else"))
        return found

    def _steps(self, node: Mapping[str, Any], key: str, scope: Scope) -> tuple[Step, ...]:
        listed = node.get(key)
        if not isinstance(listed, list) or not listed:
            self.problems.add(
                yaml.at(node, key), f"'{key}' must be a list of steps", f"Write {key}: [{STEPS['map'].example}]"
            )
            return ()
        steps = []
        for i, item in enumerate(listed):
            if not isinstance(item, dict):
                self.problems.add(yaml.at(listed, i), "a step is a table of keys", f"Write - {STEPS['map'].example}")
                continue
            step = self._step(item, scope)
            scope = scope.after((step,))
            steps.append(step)
        return tuple(steps)

    def _step(self, node: Mapping[str, Any], scope: Scope) -> Step:
        unknown_keys(node, STEP_KEYS, "a step", self.problems)
        step_id = self._step_id(node, scope)
        found = self._component(node, STEPS, "step")
        values = self._fields(found, node, scope) if found else {}
        branch = found is not None and found.name == "branch"
        if not branch and ("cases" in node or "else" in node):
            self.problems.add(
                yaml.at(node, "cases" if "cases" in node else "else"), "only a branch has cases", "Write uses: branch"
            )
        cases = self._cases(node, scope) if branch else ()
        otherwise = self._steps(node, "else", scope) if branch and "else" in node else ()
        return Step(step_id, found.name if found else "", values, yaml.at(node), self._wait(node), cases, otherwise)

    def _wait(self, node: Mapping[str, Any]) -> bool:
        wait = node.get("wait", True)
        if not isinstance(wait, bool):
            self.problems.add(yaml.value_at(node, "wait"), "'wait' must be true or false", "Write wait: false")
        return wait is not False

    def _step_id(self, node: Mapping[str, Any], scope: Scope) -> str:
        value = node.get("id")
        at = yaml.value_at(node, "id")
        if not isinstance(value, str) or not STEP_ID.fullmatch(value):
            self.problems.add(at, "a step needs an id of small letters, digits and '_'", "Write id: save")
            return ""
        if value in KEYWORDS or value in ROOTS:
            self.problems.add(at, f"'{value}' is a word of the expression language", "Choose another id.")
        if value in scope.before:
            self.problems.add(at, f"two steps have the id '{value}'", "Give each step an id of its own.")
        return str(value)

    def _cases(self, node: Mapping[str, Any], scope: Scope) -> tuple[Case, ...]:
        listed = node.get("cases")
        if not isinstance(listed, list) or not listed:
            self.problems.add(yaml.at(node, "cases"), "a branch needs cases", "Write cases: [{when: …, steps: […]}]")
            return ()
        cases = []
        for i, item in enumerate(listed):
            if not isinstance(item, dict):
                self.problems.add(yaml.at(listed, i), "a case is a table of keys", "Write - {when: …, steps: […]}")
                continue
            cases.append(self._case(item, scope))
            scope = scope.after(cases[-1].steps, maybe=True)
        return tuple(cases)

    def _case(self, node: Mapping[str, Any], scope: Scope) -> Case:
        unknown_keys(node, ("when", "steps"), "a case", self.problems)
        when = text_of(node, "when", self.problems)
        if not when:
            self.problems.add(
                yaml.at(node, "when"), "a case needs 'when'", "Write when: \"PV1-2 = 'I'\"; the rest goes under else:"
            )
        else:
            scope.expression(when, yaml.value_at(node, "when"))
        return Case(when, self._steps(node, "steps", scope))

    def _retry(self, node: Mapping[str, Any]) -> Retry:
        unknown_keys(node, ("retry", "then"), "on_error", self.problems)
        choice(node, "then", ("dead-letter",), self.problems)
        retry = table(node, "retry", self.problems)
        unknown_keys(retry, ("attempts", "backoff"), "retry", self.problems)
        attempts = retry.get("attempts")
        if attempts is not None and (
            not isinstance(attempts, int) or isinstance(attempts, bool) or not 1 <= attempts <= 1000
        ):
            self.problems.add(
                yaml.value_at(retry, "attempts"),
                "'attempts' must be a whole number from 1 to 1000",
                "Write attempts: 8",
            )
            attempts = None
        first, longest = self._backoff(retry)
        return Retry(int(attempts) if attempts else None, first, longest)

    def _backoff(self, retry: Mapping[str, Any]) -> tuple[float | None, float | None]:
        text = retry.get("backoff")
        if text is None:
            return None, None
        try:
            parts = [seconds(part) for part in str(text).split("..")]
            if len(parts) not in (1, 2) or parts[0] > parts[-1]:
                raise ValueError("it is the first wait, then the longest")
        except ValueError as error:
            self.problems.add(yaml.value_at(retry, "backoff"), f"'backoff' is wrong: {error}", "Write backoff: 2s..10m")
            return None, None
        return parts[0], parts[-1]

    def _keep(self, node: Mapping[str, Any]) -> float | None:
        unknown_keys(node, ("messages", "show"), "retention", self.problems)
        value = node.get("messages")
        if value is None or value == "forever":
            return None
        try:
            return seconds(value if isinstance(value, str) else "")
        except ValueError as error:
            self.problems.add(yaml.value_at(node, "messages"), f"'messages' is wrong: {error}", "Write messages: 30d")
            return None


class _Empty(dict[str, Any]):
    """An empty table that stands where `node` stands, so that a missing field is told at the step."""

    def __init__(self, node: Any) -> None:
        super().__init__()
        self.lc = getattr(node, "lc", None)
