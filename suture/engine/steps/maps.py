"""The step that makes content: map."""

from __future__ import annotations

from functools import lru_cache

from suture.clock import instant
from suture.engine.plan import Step
from suture.engine.walk import DONE, Version, Walk, Walking
from suture.errors import Unmapped
from suture.mapping.context import Context, Source

HL7V2_KINDS = frozenset({"message", "segment", "datatype"})


def map_(walk: Walk, step: Step) -> Walking:
    yield from ()
    name = str(step.with_["map"])
    compiled = walk.version.maps[name]
    content = walk.chosen(step.with_["from"], None)
    if content is None:
        content = walk.subject.original if compiled.map.kind in HL7V2_KINDS else walk.content
    result = compiled.run(content, context(walk))
    if not result.value or result.value.get("entry") == []:
        raise Unmapped(
            "no row of the map applied to this message",
            where=name,
            mend="Add rows for this kind of message, then replay it.",
        )
    walk.content = result.value
    walk.merges.update(result.merges)
    walk.mapped.append(result)
    walk.result(step, result.value, mapped=result)
    return DONE


def context(walk: Walk) -> Context:
    """What a map learns from the flow: its source, and the time the message came."""
    return Context(
        source=source_of(walk.version, walk.subject.message.source), now=instant(walk.subject.message.received)
    )


@lru_cache(256)
def source_of(version: Version, name: str) -> Source:
    """The sender as the flow's source describes it; one object per version, since maps keep what they compiled for it."""
    given = version.flow.source.with_
    return Source(
        id=name,
        time_zone=str(given.get("time_zone") or "UTC"),
        system=str(given.get("system") or ""),
        authorities=given.get("authorities") or {},
    )
