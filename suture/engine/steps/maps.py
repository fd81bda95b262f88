"""Steps that make and check content: map and validate."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from suture.clock import instant
from suture.engine.plan import Step
from suture.engine.walk import DONE, Version, Walk, Walking
from suture.errors import InvalidResource, Unmapped
from suture.mapping.context import Context, Source
from suture.standards.fhir import validate

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


def validate_(walk: Walk, step: Step) -> Walking:
    yield from ()
    content = walk.chosen(step.with_["from"], walk.content)
    issues = [issue for resource in resources(content) for issue in validate.check(resource)]
    errors = [issue for issue in issues if issue.severity in ("error", "fatal")]
    walk.result(step, {"errors": len(errors), "warnings": len(issues) - len(errors)})
    if errors:
        first = errors[0]
        raise InvalidResource(first.text, where=first.expression, mend=first.mend, issues=errors)
    return DONE


def resources(content: Any) -> Iterator[dict[str, Any]]:
    """The resources a content holds: the entries of a Bundle, or itself."""
    if not isinstance(content, dict) or "resourceType" not in content:
        raise InvalidResource(
            "the content is no FHIR resource", where="content", mend="Map it first, or name a resource under from:."
        )
    if content["resourceType"] != "Bundle":
        yield content
        return
    for entry in content.get("entry") or ():
        if isinstance(entry, dict) and isinstance(entry.get("resource"), dict):
            yield entry["resource"]
