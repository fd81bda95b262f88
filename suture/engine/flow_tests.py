"""Runs a project's tests: a sample walks through its flow, and each step, each send and the loss report are compared.

docs/flows.md, "Tests"
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from suture.access import policy
from suture.clock import Clock, new_id
from suture.engine import expressions
from suture.engine.doors import KINDS, Arrival, index, source_of
from suture.engine.project import Project
from suture.engine.rehearse import Rehearsal, rehearse
from suture.engine.steps.fhir import transaction
from suture.engine.subject import Subject, focus, parse
from suture.engine.tests_read import Expectation, FlowTest
from suture.engine.versions import Versions
from suture.engine.walk import Version
from suture.errors import Problem, SutureError
from suture.message import Message
from suture.services.interactions.door import Interactions
from suture.standards.fhir import json
from suture.standards.fhir.fhirpath import Environment
from suture.store.database import Database


async def run(test: FlowTest, found: Project, chart: Interactions, database: Database, clock: Clock) -> list[Problem]:
    """What did not come as expected; nothing when the test passes. `database` is thrown away afterwards."""
    version = Versions(found).active[test.flow]
    for content in test.given:
        await _give(content, chart, database)
    original = test.send
    kind = KINDS[source_of(version, 0).partition(":")[0]]
    message = Message(new_id(clock), source_of(version, 0), kind, original, clock.micros())
    charset = version.flow.source.with_.get("charset")
    try:
        arrival = Arrival(message, "", parse(kind, original, charset), charset)
        index(arrival, [version])
    except SutureError as error:
        return [Problem(test.file, 1, 1, f"the sample cannot be read: {error.text}", error.mend)]
    went = await rehearse(version, Subject(message, charset, arrival.parsed), chart, database, test.answers)
    return [p for one in test.expect for p in compare(one, went, test, version)] + _unexpected(test, went)


async def _give(content: bytes, chart: Interactions, database: Database) -> None:
    """Writes a resource or Bundle into the temporary chart."""
    from_file = json.read(content)
    await database.write(chart.transaction_unit(policy.SYSTEM, transaction(from_file)))


def _unexpected(test: FlowTest, went: Rehearsal) -> list[Problem]:
    """A failed run fails the test, unless the test expects it."""
    if went.error is None or any(one.kind == "ends" for one in test.expect):
        return []
    return [Problem(test.file, 1, 1, f"the run failed at '{went.step}': {went.error.text}", went.error.mend)]


def compare(one: Expectation, went: Rehearsal, test: FlowTest, version: Version) -> list[Problem]:
    said = _COMPARE[one.kind](one.values, went)
    return [Problem(test.file, one.at[0], one.at[1], said)] if said else []


def _step(values: Mapping[str, Any], went: Rehearsal) -> str:
    outputs = [trace.output for trace in went.trace if trace.step == values["step"]]
    return _counted(f"step '{values['step']}' was walked", len(outputs), values) or _where(
        values, outputs, "its output"
    )


def _sent(values: Mapping[str, Any], went: Rehearsal) -> str:
    sends = [send for send in went.sends if values["sent"] in (send.connection, send.step.id)]
    said = _counted(f"'{values['sent']}' was sent to", len(sends), values)
    return said or _where(values, [_content(send.body) for send in sends], "what was sent")


def _content(body: bytes) -> Any:
    try:
        return json.read(body)
    except SutureError:
        return body.decode("utf-8", "replace")


def _counted(what: str, count: int, values: Mapping[str, Any]) -> str:
    if "times" in values:
        return "" if count == values["times"] else f"{what} {count} times, not {values['times']}"
    return "" if count else f"{what} 0 times"


def _where(values: Mapping[str, Any], contents: list[Any], what: str) -> str:
    text = values.get("where")
    if not text:
        return ""
    expression = expressions.compiled(str(text))
    wrong = [content for content in contents if not expression.holds(focus(content), Environment())]
    return f"{what} does not fulfil: {text}" if wrong else ""


def _loss(values: Mapping[str, Any], went: Rehearsal) -> str:
    wanted = sorted(values["loss"] or [])
    return (
        ""
        if wanted == sorted(went.loss)
        else f"lost {', '.join(sorted(went.loss)) or 'nothing'}; expected {', '.join(wanted) or 'nothing'}"
    )


def _ends(values: Mapping[str, Any], went: Rehearsal) -> str:
    if went.ended != values["ends"]:
        why = f" at '{went.step}': {went.error.text}" if went.error else ""
        return f"the run ended as {went.ended}{why}, not as {values['ends']}"
    if "at" in values and went.step != values["at"]:
        return f"it failed at '{went.step}', not at '{values['at']}'"
    if "reason" in values and str(values["reason"]) not in str(went.error):
        return f"the reason does not hold '{values['reason']}'"
    return ""


_COMPARE = {"step": _step, "sent": _sent, "loss": _loss, "ends": _ends}
