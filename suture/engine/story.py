"""Tells what a run did, step by step: pure steps are walked again from the original with the version it ran with, effects are looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from suture.engine import trouble
from suture.engine.plan import Flow, Step
from suture.engine.steps import ACTIONS
from suture.engine.subject import Subject
from suture.engine.versions import Versions
from suture.engine.walk import Send, StepFailed, Trace, Walk
from suture.errors import SutureError
from suture.message import DeliveryState, RunState
from suture.standards.fhir import json
from suture.store import messages
from suture.store.connection import Connection
from suture.store.queue import deliveries, runs
from suture.store.queue.runs import Run

STILL_GOING = frozenset({DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.RETRYING, DeliveryState.AMBIGUOUS})


@dataclass(slots=True)
class Story:
    """A run with its steps as far as it came."""

    run: Run
    trace: list[Trace] = field(default_factory=list)
    loss: list[str] = field(default_factory=list)
    unreadable: str = ""  # why the steps can't be shown
    flow: Flow | None = None  # as it was for this run

    def step(self, id: str) -> Step | None:
        """What the flow file says of a step."""
        return next((one for one in self.flow.each() if one.id == id), None) if self.flow else None


def tell(connection: Connection, run: Run, versions: Versions) -> Story:
    """The story of a run."""
    story = Story(run)
    try:
        version = versions.get(connection, run.version)
        story.flow = version.flow
        subject = Subject(messages.message(connection, run.mid), version.flow.source.with_.get("charset"))
        walk = Walk(version, subject, ACTIONS, outputs=_kept(connection, run))
        _walk(walk, run)
    except SutureError as error:
        story.unreadable = error.text
        return story
    except Exception as error:  # a fault of ours in a step: its text may hold values
        story.unreadable = f"an error of Suture itself: {trouble.place(error)}"
        return story
    story.trace, story.loss = walk.trace, walk.loss
    _mark(story, {d.step: d.state for d in deliveries.of_run(connection, run.run)})
    return story


def _kept(connection: Connection, run: Run) -> dict[str, Any]:
    """Outputs of effects; a send without one shows its delivery."""
    found: dict[str, Any] = {
        d.step: {"delivery": d.id, "status": str(d.state)} for d in deliveries.of_run(connection, run.run)
    }
    for step in runs.steps(connection, run.run):
        found[step.step] = json.read(step.output)["output"]
    return found


def _walk(walk: Walk, run: Run) -> None:
    """Walks until an effect that has not happened."""
    steps = walk.steps()
    output: Any
    try:
        request = steps.send(None)
        step, output = request.step, {"waits": isinstance(request, Send)}
        failed = run.state in (RunState.FAILED, RunState.CANCELLED)
        state, error = ("failed", run.error) if failed else ("waiting", "")
    except StopIteration:
        return
    except StepFailed as wrong:
        step, output, state, error = wrong.step, {"failed": str(wrong.error)}, "failed", str(wrong.error)
    walk.trace.append(Trace(step.id, step.uses, output, input=walk.before, state=state, error=error))


def _mark(story: Story, sent: Mapping[str, DeliveryState]) -> None:
    """A send is as far as its delivery; what the run waited for and never got ends the story there."""
    for at, trace in enumerate(story.trace):
        state = sent.get(trace.step)
        if state is DeliveryState.DEAD:
            trace.state, trace.error = "failed", trace.error or story.run.error
        elif state in STILL_GOING:
            trace.state = "waiting"
        flow_step = story.step(trace.step)
        if trace.state != "done" and (flow_step is None or flow_step.wait):
            del story.trace[at + 1 :]
            return
