"""What a code system says of one code, and how two of its codes stand to each other: $lookup and $subsumes.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html · https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from suture.standards.terminology.code_system import CodeSystem, text_of
from suture.standards.terminology.expansion import in_language

Part = dict[str, Any]
_OWN = frozenset({"display", "definition", "designation", "parent", "child", "inactive", "abstract"})


def told(system: CodeSystem, code: str, wanted: Collection[str] = (), language: str = "") -> Iterator[Part]:
    """The parameters of $lookup; `wanted`: names of properties, none for all."""
    details = system.of(code)
    yield {"name": "name", "valueString": system.name}
    if system.version:
        yield {"name": "version", "valueString": system.version}
    spoken = in_language(details.designations, language) if language else ""
    yield {"name": "display", "valueString": spoken or system.displays[code] or code}
    if details.definition and _asked("definition", wanted):
        yield {"name": "definition", "valueString": details.definition}
    if system.abstract(code):
        yield {"name": "abstract", "valueBoolean": True}
    if _asked("designation", wanted):
        yield from (_designation(d) for d in details.designations)
    yield from (p for p in _properties(system, code) if _asked(p["part"][0]["valueCode"], wanted))


def _asked(name: str, wanted: Collection[str]) -> bool:
    return not wanted or name in wanted


def unknown(system: CodeSystem, wanted: Collection[str]) -> list[str]:
    """The properties that this system does not have."""
    return [n for n in wanted if n not in _OWN and not n.startswith("lang.") and not system.has_property(n)]


def _designation(one: dict[str, Any]) -> Part:
    parts = [
        {"name": "language", "valueCode": one.get("language")},
        {"name": "use", "valueCoding": one.get("use")},
        {"name": "value", "valueString": one.get("value")},
    ]
    return {"name": "designation", "part": [p for p in parts if None not in p.values()]}


def _properties(system: CodeSystem, code: str) -> Iterator[Part]:
    kin = [("parent", one) for one in system.parents.get(code, ())]
    kin += [("child", one) for one in system.children.get(code, [])]
    for name, other in kin:
        yield _property(name, "valueCode", other, system.displays.get(other, ""))
    if system.inactive(code):
        yield _property("inactive", "valueBoolean", True)
    told_already = {*kin, ("inactive", "true")}
    for row in system.of(code).properties:
        key = next((str(k) for k in row if str(k).startswith("value")), "")
        name, value = str(row.get("code", "")), row.get(key)
        if key and (name, text_of(row)) not in told_already:
            yield _property(name, key, value, system.displays.get(str(value), "") if key == "valueCode" else "")


def _property(name: str, key: str, value: Any, description: str = "") -> Part:
    parts = [{"name": "code", "valueCode": name}, {"name": "value", key: value}]
    if description:
        parts.append({"name": "description", "valueString": description})
    return {"name": "property", "part": parts}


def outcome(system: CodeSystem, first: str, second: str) -> str:
    """How the first code stands to the second: equivalent, subsumes, subsumed-by, not-subsumed."""
    if first == second:
        return "equivalent"
    if first in system.above(second):
        return "subsumes"
    return "subsumed-by" if second in system.above(first) else "not-subsumed"
