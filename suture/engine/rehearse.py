"""Walks a message through a flow with nothing sent: local writes go to the given (temporary) chart, sends are only noted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.access import policy
from suture.engine.runner import found_in
from suture.engine.steps import ACTIONS
from suture.engine.subject import Subject
from suture.engine.walk import LocalCheck, LocalSearch, LocalWrite, Request, Send, StepFailed, Trace, Version, Walk
from suture.errors import SutureError
from suture.services.interactions.door import Interactions
from suture.store.database import Database

ANSWERS: Mapping[str, Any] = {
    "http.send": {"status": 200, "headers": {}, "body": {}},
    "mllp.send": {"code": "AA"},
    "file.write": {"name": "written"},
    "fhir.search": {"resourceType": "Bundle", "type": "searchset", "total": 0, "entry": []},
    "fhir.write": {"resourceType": "Bundle", "type": "batch-response", "entry": []},
}


@dataclass(slots=True)
class Rehearsal:
    """What would have happened."""

    ended: str  # done | filtered | failed
    trace: list[Trace]
    sends: list[Send] = field(default_factory=list)
    loss: list[str] = field(default_factory=list)
    step: str = ""  # where it failed
    error: SutureError | None = None


async def rehearse(
    version: Version,
    subject: Subject,
    chart: Interactions,
    database: Database,
    answers: Mapping[str, Any] | None = None,
    steps: int = 1_000_000,
) -> Rehearsal:
    """Walks to the end; `answers` are what destinations say, by step id."""
    walk = Walk(version, subject, ACTIONS, steps)
    going, done = walk.steps(), Rehearsal("done", walk.trace)
    answer: Any = None
    try:
        while True:
            answer = await _answer(going.send(answer), done, chart, database, answers or {})
    except StopIteration as ended:
        done.ended = str(ended.value)
    except StepFailed as failed:
        done.ended, done.step = "failed", failed.step.id
        if not isinstance(failed.error, SutureError):
            raise failed.error from failed
        done.error = failed.error
    done.loss = walk.loss
    return done


async def _answer(
    request: Request, done: Rehearsal, chart: Interactions, database: Database, answers: Mapping[str, Any]
) -> Any:
    caller = policy.flow_caller("rehearsal")
    try:
        if isinstance(request, LocalWrite):
            return await database.write(request.unit(chart, caller))
        if isinstance(request, LocalSearch):
            return found_in(await chart.search(caller, request.type, request.pairs))
        if isinstance(request, LocalCheck):
            return request.answer(chart, database.read)
    except SutureError as error:
        raise StepFailed(request.step, error) from error
    done.sends.append(request)
    return answers.get(request.step.id, ANSWERS[request.kind])
