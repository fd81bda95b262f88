"""Tells what a run did, step by step: pure steps are walked again from the original with the version it ran with, effects are looked up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from suture.engine.steps import ACTIONS
from suture.engine.subject import Subject
from suture.engine.versions import Versions
from suture.engine.walk import Send, StepFailed, Trace, Walk
from suture.errors import SutureError
from suture.standards.fhir import json
from suture.store import messages
from suture.store.connection import Connection
from suture.store.queue import deliveries, runs
from suture.store.queue.runs import Run


@dataclass(slots=True)
class Story:
    """A run with its steps as far as it came."""

    run: Run
    trace: list[Trace] = field(default_factory=list)
    loss: list[str] = field(default_factory=list)
    unreadable: str = ""  # why the steps can't be shown


def tell(connection: Connection, run: Run, versions: Versions) -> Story:
    """The story of a run."""
    story = Story(run)
    try:
        version = versions.get(connection, run.version)
        subject = Subject(messages.message(connection, run.mid), version.flow.source.with_.get("charset"))
        walk = Walk(version, subject, ACTIONS, outputs=_kept(connection, run))
        _walk(walk)
    except SutureError as error:
        story.unreadable = error.text
        return story
    story.trace, story.loss = walk.trace, walk.loss
    return story


def _kept(connection: Connection, run: Run) -> dict[str, Any]:
    """Outputs of effects; a send without one shows its delivery."""
    found: dict[str, Any] = {
        d.step: {"delivery": d.id, "status": str(d.state)} for d in deliveries.of_run(connection, run.run)
    }
    for step in runs.steps(connection, run.run):
        found[step.step] = json.read(step.output)["output"]
    return found


def _walk(walk: Walk) -> None:
    """Walks until an effect that has not happened."""
    steps = walk.steps()
    try:
        request = steps.send(None)
        walk.trace.append(Trace(request.step.id, request.step.uses, {"waits": isinstance(request, Send)}))
    except StopIteration:
        return
    except StepFailed as failed:
        walk.trace.append(Trace(failed.step.id, failed.step.uses, {"failed": str(failed.error)}))
