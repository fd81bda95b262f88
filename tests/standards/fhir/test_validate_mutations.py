"""A sound resource that is broken at one place is found out at that place, and both halves of the validator agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import Issue
from suture.standards.fhir.definitions import RESOURCE_TYPES, Element, TypeDefinition, type_definition
from suture.standards.fhir.validate import check
from suture.standards.fhir.validate.explain import Findings, explain_resource
from suture.standards.fhir.validate.shapes import fine_resource, surely
from tests.standards.fhir import samples


@dataclass(slots=True)
class Slot:
    """One place of a resource."""

    container: Any
    key: Any
    element: Element
    kind: str
    path: str  # as a finding names it

    @property
    def value(self) -> Any:
        return self.container[self.key]

    @property
    def primitive(self) -> bool:
        definition = type_definition(self.kind)
        return definition is not None and definition.kind == "primitive"


def slots(value: dict[str, Any], definition: TypeDefinition, path: str) -> Iterator[Slot]:
    for key, inner in value.items():
        if key not in definition.keys:
            continue
        element, kind = definition.keys[key]
        place = f"{path}.{element.name}" + (f".ofType({kind})" if element.choice else "")
        yield Slot(value, key, element, kind, place)
        items = (
            [(inner, n, f"{place}[{n}]") for n in range(len(inner)) if inner[n] is not None]
            if isinstance(inner, list)
            else []
        )
        for container, index, at in items:
            yield Slot(container, index, element, kind, at)
        for container, index, at in items or [(value, key, place)]:
            held = container[index]
            if isinstance(held, dict):
                name = held["resourceType"] if kind == "Resource" else kind
                yield from slots(held, type_definition(name), at)  # type: ignore[arg-type]


def wrong_json(slot: Slot) -> Any:
    """A value of another JSON type."""
    value = slot.value
    return "x" if not isinstance(value, str) else {"url": "x"}


def break_type(slot: Slot) -> str | None:
    slot.container[slot.key] = wrong_json(slot)
    return slot.path


def break_null(slot: Slot) -> str | None:
    slot.container[slot.key] = None
    return slot.path


def break_empty(slot: Slot) -> str | None:
    empty = {list: [], dict: {}, str: ""}.get(type(slot.value))
    slot.container[slot.key] = empty
    return slot.path


def break_list(slot: Slot) -> str | None:
    value = slot.value
    slot.container[slot.key] = value[0] if isinstance(value, list) else [value]
    return slot.path


def break_unknown(slot: Slot) -> str | None:
    if not isinstance(slot.value, dict):
        return None
    slot.value["zzz"] = "x"
    return f"{slot.path}.zzz"


def break_missing(slot: Slot) -> str | None:
    if slot.element.min == 0 or not isinstance(slot.key, str) or f"_{slot.key}" in slot.container:
        return None
    if not slot.container.keys() - {slot.key, "id"}:
        return None  # then the finding is the empty element around it
    del slot.container[slot.key]
    return slot.path.partition(".ofType")[0] if slot.element.choice and slot.path.endswith(")") else slot.path


def break_code(slot: Slot) -> str | None:
    if slot.element.binding is None or slot.element.binding[0] != "required" or not isinstance(slot.value, str):
        return None
    slot.container[slot.key] = "nonsense code/"
    return slot.path


def break_format(slot: Slot) -> str | None:
    if not isinstance(slot.value, str) or slot.kind in {"string", "markdown", "xhtml"}:
        return None
    slot.container[slot.key] = "\x01 \x02"
    return slot.path


def break_number(slot: Slot) -> str | None:
    if slot.kind not in {"integer", "positiveInt", "unsignedInt"} or isinstance(slot.value, list):
        return None
    slot.container[slot.key] = Decimal("1.5")
    return slot.path


def break_choice(slot: Slot) -> str | None:
    if not slot.element.choice or len(slot.element.types) < 2 or not isinstance(slot.key, str):
        return None
    other = next(kind for kind in slot.element.types if kind != slot.kind)
    slot.container[slot.element.name + other[0].upper() + other[1:]] = "x"
    return slot.path.rpartition(".ofType")[0]


def break_reference(slot: Slot) -> str | None:
    if slot.element.path != "Reference.reference":
        return None
    slot.container[slot.key] = "Nothing/1"
    return slot.path


WAYS: list[Callable[[Slot], str | None]] = [
    break_type, break_null, break_empty, break_list, break_unknown, break_missing, break_code, break_format, break_number,
    break_choice, break_reference,
]  # fmt: skip


def mutable(resource: dict[str, Any]) -> list[Slot]:
    found = list(slots(resource, type_definition(resource["resourceType"]), resource["resourceType"]))  # type: ignore[arg-type]
    return [slot for slot in found if slot.kind != "xhtml" and slot.element.path != "Resource.resourceType"]


def assert_found(resource: dict[str, Any], place: str, issues: list[Issue]) -> None:
    errors = [issue for issue in issues if issue.severity == "error"]
    assert [i for i in errors if i.expression == place or i.expression.startswith((f"{place}.", f"{place}["))], (
        place,
        errors,
    )


def slow(resource: dict[str, Any]) -> list[Issue]:
    found = Findings(resource, resource)
    explain_resource(resource, "", found)
    return found.issues


@settings(max_examples=1000, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(WAYS), st.sampled_from(samples.ALL))
def test_one_broken_place_is_found(pick: int, way: Callable[[Slot], str | None], sample: dict) -> None:
    resource = samples.fresh(sample)
    candidates = mutable(resource)
    place = way(candidates[pick % len(candidates)])
    if place is None:
        return
    issues = check(resource)
    assert_found(resource, place, issues)
    assert issues == slow(resource)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.decimals(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "extension", "url", "valueString", "coding", "reference", "resourceType", "_id", "contained", "name", "value"]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 10**9), JUNK, st.sampled_from(samples.ALL))
def test_junk_anywhere_gives_findings_and_never_an_exception(pick: int, junk: Any, sample: dict) -> None:
    resource = samples.fresh(sample)
    candidates = mutable(resource)
    slot = candidates[pick % len(candidates)]
    slot.container[slot.key] = junk
    issues = check(resource)
    assert issues == slow(resource)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(RESOURCE_TYPES)), st.dictionaries(st.text(max_size=8), JUNK, max_size=5), st.randoms())
def test_every_resource_type_takes_junk(kind: str, junk: dict, rng: Any) -> None:
    keys = list(type_definition(kind).keys)  # type: ignore[union-attr]
    named = {rng.choice(keys): value for value in junk.values()}
    resource = {"resourceType": kind} | named
    assert check(resource) == slow(resource)


def test_a_yes_of_the_fast_half_is_final() -> None:
    """Both halves, over each sample and each of its single mutations."""
    yes = 0
    for sample in samples.ALL:
        for n in range(len(mutable(samples.fresh(sample)))):
            resource = samples.fresh(sample)
            slot = mutable(resource)[n]
            if isinstance(slot.value, dict):
                slot.value.pop(next(iter(slot.value)))
            if surely(fine_resource, resource):
                yes += 1
                assert slow(resource) == []
    assert yes > 50
