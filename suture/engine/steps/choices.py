"""Steps that choose: filter lets a run go on or ends it, branch walks the cases that hold."""

from __future__ import annotations

from itertools import islice

from suture.engine.plan import Step
from suture.engine.walk import DONE, FILTERED, Walk, Walking


def filter_(walk: Walk, step: Step) -> Walking:
    yield from ()
    holds = walk.holds(str(step.with_["when"]))
    walk.result(step, holds)
    return DONE if holds else FILTERED


def branch(walk: Walk, step: Step) -> Walking:
    holding = (i for i, case in enumerate(step.cases) if walk.holds(case.when))
    chosen = list(islice(holding, 1 if step.with_["match"] == "first" else None))
    walk.result(step, [i + 1 for i in chosen])
    ways = [step.cases[i].steps for i in chosen] or [step.otherwise]
    for steps in ways:
        if (yield from walk.each(steps)) == FILTERED:
            return FILTERED
    return DONE
