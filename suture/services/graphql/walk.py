"""Walks resources along a query and makes the answer (https://hl7.org/fhir/R4/graphql.html)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from suture.errors import Invalid, TooCostly
from suture.services.graphql import steps
from suture.services.graphql.scope import Group, Scope, Selections, check_arguments
from suture.services.graphql.sources import Resource, Sources
from suture.services.graphql.steps import CONNECTION, EDGE, ROOT, Step
from suture.standards.fhir import fhirpath
from suture.standards.graphql.tree import Directive, Field

MOST_VALUES = 200_000
MOST_TEXT = 32 * 1024 * 1024  # characters of an answer
_BOUNDED = fhirpath.Environment(steps=20_000)
Items = list[tuple[Any, str, Resource]]  # value, its type, the resource it is in


@dataclass(frozen=True, slots=True)
class Spot:
    """Where values go: an object of the answer, with a suffix to its names; flat: of several objects together."""

    out: dict[str, Any]
    suffix: str = ""
    flat: bool = False


class Walk:
    """One run of a query."""

    def __init__(self, scope: Scope, sources: Sources) -> None:
        self._scope = scope
        self._sources = sources
        self._values = 0
        self._text = 0

    def answer(self, resource: Resource | None) -> dict[str, Any]:
        """What the query asks of a resource, or of the system."""
        spot = Spot({})
        selections = self._scope.operation.selections
        if resource is None:
            self._fill(selections, {}, ROOT, {}, spot)
        else:
            self._fill(selections, resource, resource["resourceType"], resource, spot)
        return spot.out

    def _fill(self, selections: Selections, value: Any, type: str, holder: Resource, spot: Spot) -> None:
        for group in self._scope.groups(selections, type):
            self._spend()
            found = steps.step(type, group.field)
            check_arguments(group.field, found)
            items = self._filtered(group.field, found, self._items(group, found, value, type, holder))
            self._put(group.field, found, group.inner, items, spot)

    def _put(self, field: Field, found: Step, inner: Selections, items: Items, spot: Spot) -> None:
        named = {d.name: d for d in field.directives}
        items = items[:1] if "first" in named else items
        for at, (value, type, holder) in enumerate(items):
            suffix = spot.suffix + self._slice(named.get("slice"), value, type, at)
            if "flatten" in named and inner and isinstance(value, dict):
                self._fill(inner, value, type, holder, Spot(spot.out, suffix, True))
                continue
            made = self._made(field, inner, value, type, holder)
            many = (spot.flat or found.many) and "singleton" not in named
            _place(field, spot.out, field.key + suffix, made, many)

    def _made(self, field: Field, inner: Selections, value: Any, type: str, holder: Resource) -> Any:
        if not isinstance(value, dict):
            self._spend(len(value) if isinstance(value, str) else 8)
            if inner and value is not None:
                raise Invalid(f"'{field.name[:100]}' has no fields", where=f"query {field.place}")
            return value
        if not inner:
            raise Invalid(f"which fields of '{field.name[:100]}'?", where=f"query {field.place}")
        spot = Spot({})
        self._fill(inner, value, type, holder, spot)
        return spot.out

    def _spend(self, text: int = 0) -> None:
        self._values += 1
        self._text += text
        if self._values > MOST_VALUES or self._text > MOST_TEXT:
            raise TooCostly("the answer grows too large", where="query", mend="Ask for less, or in parts.")
        if self._values % 1000 == 0:
            self._sources.left()

    def _slice(self, directive: Directive | None, value: Any, type: str, at: int) -> str:
        if directive is None:
            return ""
        path = str(self._scope.value(next(iter(directive.arguments.values()))))
        if path == "$index":
            return f".{at}"
        self._sources.left()
        found = fhirpath.compile(path, type=type).evaluate(value, _BOUNDED)
        return f".{found[0]}" if found else ""

    # --- what a field leads to

    def _items(self, group: Group, found: Step, value: Any, type: str, holder: Resource) -> Items:
        field = group.field
        if found.way == "type":
            return [(value.get("resourceType", type.strip("()")), "string", holder)]
        if found.way == "element":
            return self._elements(field, found, value, type, holder)
        if found.way == "resource":
            return self._referred(field, value, holder)
        arguments = {name: self._scope.value(given) for name, given in field.arguments.items()}
        arguments = {name: given for name, given in arguments.items() if given is not None}
        if found.way == "one":
            return [_whole(self._sources.read(found.type, _id(field, arguments)))]
        owner = None if type == ROOT else value
        if owner is not None and owner is not holder:
            raise Invalid("only of resources of their own", where=f"query {field.place}")
        kind = steps.searched_type(field)
        if found.way == "list":
            rows = self._sources.whole(kind, arguments, owner, field.place)
            return [_whole(self._sources.taken(row)) for row in rows]
        return [(self._page(group, kind, arguments, owner), CONNECTION, holder)]

    def _elements(self, field: Field, found: Step, value: dict[str, Any], type: str, holder: Resource) -> Items:
        there = value.get(field.name)
        if there is None:
            return []
        listed = there if isinstance(there, list) else [there]
        if found.type in ("Resource", steps.UNKNOWN):
            return [(v, _type(v, found.type), v if type == EDGE else holder) for v in listed]
        return [(v, found.type, holder) for v in listed]

    def _referred(self, field: Field, value: dict[str, Any], holder: Resource) -> Items:
        resource = self._sources.resolved(value.get("reference"), holder)
        if resource is None:
            if self._scope.value(field.arguments.get("optional", False)) is True:
                return []
            raise Invalid(
                "a reference leads to nothing that this caller may see",
                where=f"query {field.place}",
                mend="Write resource(optional: true) {…}.",
            )
        wanted = self._scope.value(field.arguments.get("type"))
        if wanted is not None and resource.get("resourceType") != wanted:
            return []
        inside = any(resource is one for one in holder.get("contained", []))
        return [(resource, resource["resourceType"], holder if inside else resource)]

    def _page(self, group: Group, kind: str, arguments: dict[str, Any], owner: Resource | None) -> dict[str, Any]:
        """A page of a search, as an object; counted only when that is asked for."""
        found = self._sources.search(kind, arguments, owner, group.field.place)
        page: dict[str, Any] = {"offset": found.offset, "pagesize": found.count}
        if any(below.field.name == "count" for below in self._scope.groups(group.inner, CONNECTION)):
            page["count"] = self._sources.counted(found)
        page |= {"next": found.next} if found.next else {}
        page["edges"] = [{"mode": "match", "resource": self._sources.taken(row)} for row in found.rows]
        return page

    # --- arguments of lists

    def _filtered(self, field: Field, found: Step, items: Items) -> Items:
        if found.way != "element" or not field.arguments:
            return items
        arguments = {name: self._scope.value(given) for name, given in field.arguments.items()}
        start, most = _whole_number(field, arguments, "_offset", 0), _whole_number(field, arguments, "_count", None)
        path = arguments.pop("fhirpath", None)
        for name, wanted in arguments.items():
            items = [i for i in items if isinstance(i[0], dict) and wanted is not None and i[0].get(name) == wanted]
        if path is not None:
            compiled = fhirpath.compile(str(path), type=found.type)
            items = [i for i in items if i[0] is not None and self._holds(compiled, i[0])]
        return items[start or 0 :][:most]

    def _holds(self, condition: fhirpath.Expression, value: Any) -> bool:
        self._sources.left()
        return condition.holds(value, _BOUNDED)


def _whole(resource: Resource) -> tuple[Resource, str, Resource]:
    return resource, resource["resourceType"], resource


def _type(value: Any, known: str) -> str:
    return str(value.get("resourceType", known)) if isinstance(value, dict) else known


def _id(field: Field, arguments: dict[str, Any]) -> str:
    given = [str(value) for value in arguments.values()]
    if len(given) != 1:
        raise Invalid(f"which {field.name}?", where=f"query {field.place}", mend=f'Write {field.name}(id: "…").')
    return given[0]


def _whole_number(field: Field, arguments: dict[str, Any], name: str, default: int | None) -> int | None:
    value = arguments.pop(name, default)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
        raise Invalid(f"{name} is a whole number", where=f"query {field.place}")
    return value


def _place(field: Field, out: dict[str, Any], key: str, made: Any, many: bool) -> None:
    if many:
        out.setdefault(key, []).append(made)
    elif key in out:
        raise Invalid(
            f"'{field.key[:100]}' has several values", where=f"query {field.place}", mend="Leave @singleton out."
        )
    else:
        out[key] = made
