"""Walks one message through one flow: pure steps at once, and a request to the runner for everything that has an effect.

A walk can be begun again at any time: pure steps give the same results, and effects whose outputs are kept are not repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any

from suture.access.caller import Caller
from suture.engine import expressions
from suture.engine.plan import Flow, Step
from suture.engine.subject import Subject, focus
from suture.errors import SutureError, TooCostly
from suture.mapping.compile import Compiled, Result
from suture.mapping.merge import NO_PLAN, merge
from suture.services.held import held
from suture.services.interactions.door import Interactions
from suture.standards.fhir.fhirpath import Environment
from suture.store.connection import Connection, Tx


@dataclass(frozen=True, slots=True, eq=False)
class Version:
    """A flow with its maps, compiled; `name` stands for exactly these texts."""

    name: str
    flow: Flow
    maps: Mapping[str, Compiled] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merging:
    """How what maps made meets what is stored: absent stays, a value replaces, null deletes."""

    merges: Mapping[str, Any]

    def __call__(self, stored: dict[str, Any] | None, coming: dict[str, Any], url: str, /) -> dict[str, Any] | None:
        return merge(stored, coming, self.plan(url))

    def plan(self, url: str, /) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.merges.get(url, NO_PLAN)
        return found


@dataclass(frozen=True, slots=True)
class LocalWrite:
    """A transaction for the own chart; `merges` is what maps know beside the Bundle (None: no map made it)."""

    step: Step
    bundle: dict[str, Any]
    merges: Mapping[str, Any] | None = None

    def unit(self, chart: Interactions, caller: Caller) -> Callable[[Tx], dict[str, Any]]:
        """The transaction, checked now, to be run inside any unit."""
        return chart.transaction_unit(caller, self.bundle, self.merge)

    @property
    def merge(self) -> Merging | None:
        """How the entries meet what is stored."""
        return None if self.merges is None else Merging(self.merges)


@dataclass(frozen=True, slots=True)
class LocalSearch:
    """A search of the own chart."""

    step: Step
    type: str
    pairs: tuple[tuple[str, str], ...]
    pages: int = 1


@dataclass(frozen=True, slots=True)
class LocalCheck:
    """A profile that is stored here, to hold content against; the answer: {"issues": [rows]}."""

    step: Step
    content: dict[str, Any]
    url: str

    def answer(self, chart: Interactions, connection: Connection) -> dict[str, Any]:
        """What is found; raises StepFailed when the profile is not here or can't be read."""
        try:
            return {"issues": [asdict(one) for one in held(chart.chart, connection, self.content, self.url)]}
        except Exception as error:
            raise StepFailed(self.step, error) from error


@dataclass(frozen=True, slots=True)
class Send:
    """Something for another system: `head` says how, `body` holds the exact bytes."""

    step: Step
    kind: str  # the step's name
    connection: str
    head: Mapping[str, Any]
    body: bytes


Request = LocalWrite | LocalSearch | LocalCheck | Send
Walking = Generator[Request, Any, str]  # receives the request's output; returns how it ended
DONE, FILTERED = "done", "filtered"


@dataclass(slots=True)
class Trace:
    """What one step made of what: for tests, rehearsals and the list of a run's steps."""

    step: str
    uses: str
    output: Any = None
    mapped: Result | None = None
    input: Any = None  # the content it found
    state: str = "done"  # done | waiting | failed
    error: str = ""

    @property
    def warnings(self) -> list[str]:
        return [str(one) for one in self.mapped.warnings] if self.mapped else []


class StepFailed(Exception):
    """An error at a step: carries where, so that a dead letter can say it."""

    def __init__(self, step: Step, error: Exception) -> None:
        super().__init__(step.id)
        self.step = step
        self.error = error


@dataclass(slots=True)
class Walk:
    """The state of one walk: outputs by step, the current content, and what maps reported."""

    version: Version
    subject: Subject
    actions: Mapping[str, Action]
    budget: int = 1_000_000
    outputs: dict[str, Any] = field(default_factory=dict)  # kept outputs of effects, given at the start
    content: Any = None
    merges: dict[str, Any] = field(default_factory=dict)
    mapped: list[Result] = field(default_factory=list)
    trace: list[Trace] = field(default_factory=list)
    at: Step | None = None
    before: Any = None  # the content as the step that is walked found it
    results: dict[str, Any] = field(default_factory=dict)  # outputs of this walk's steps so far
    _seen: tuple[int, Any, Environment] | None = None

    def steps(self) -> Walking:
        """Walks the whole flow; every error comes out as StepFailed."""
        self.content = self.subject.original
        try:
            return (yield from self.each(self.version.flow.steps))
        except SutureError as error:
            assert self.at is not None
            raise StepFailed(self.at, error) from error

    def each(self, steps: tuple[Step, ...]) -> Walking:
        for step in steps:
            self.at, self.before = step, self.content
            ended = yield from self.actions[step.uses](self, step)
            if ended == FILTERED:
                return FILTERED
        return DONE

    def ask(self, request: Request) -> Generator[Request, Any, Any]:
        """The output of an effect: the kept one, or what the runner answers."""
        if request.step.id in self.outputs:
            return self.outputs[request.step.id]
        return (yield request)

    def result(self, step: Step, output: Any, mapped: Result | None = None) -> None:
        """Keeps a step's output under its id."""
        self.results[step.id] = output
        self.trace.append(Trace(step.id, step.uses, output, mapped, self.before))

    @property
    def loss(self) -> list[str]:
        """Places of the source that no row read."""
        return list(dict.fromkeys(place for result in self.mapped for place in result.loss))

    # --- expressions

    def evaluate(self, text: str) -> list[Any]:
        expression = expressions.compiled(text, self.roots)
        return list(expression.evaluate(focus(self.content), self.environment()))

    def holds(self, text: str) -> bool:
        return bool(expressions.compiled(text, self.roots).holds(focus(self.content), self.environment()))

    def chosen(self, text: str | dict[str, Any] | None, otherwise: Any) -> Any:
        """The one value an optional expression chooses, or the structure its templates make."""
        if not text:
            return otherwise
        if isinstance(text, dict):
            return self.render(text, f"{self.at.id if self.at else ''}: from")
        found = self.evaluate(text)
        if len(found) != 1:
            raise TooCostly(
                f"'from' gave {len(found)} values",
                where=self.at.id if self.at else "",
                mend="Name exactly one, such as with .first().",
            )
        return found[0]

    @property
    def roots(self) -> tuple[str, ...]:
        return _roots(self.version)

    def environment(self) -> Environment:
        """What expressions see; made anew only after a step."""
        seen = self._seen
        if seen is None or seen[0] != len(self.trace) or seen[1] is not self.content:
            seen = self._seen = (len(self.trace), self.content, self._environment())
        return seen[2]

    def _environment(self) -> Environment:
        named = {name: focus(value) for name, value in self.results.items()}
        original = self.subject.original
        named |= {
            "message": self.subject.root(self.content),
            "original": focus(original),
            "settings": self.version.flow.settings,
        }
        return Environment(now=self.subject.received, roots=named, locate=self.subject.locate, steps=self.budget)

    def render(self, value: Any, place: str) -> Any:
        return expressions.render(value, self.evaluate, place)


@lru_cache(1024)
def _roots(version: Version) -> tuple[str, ...]:
    return tuple(step.id for step in version.flow.each())


Action = Callable[[Walk, Step], Walking]
