"""One query with its variables: fragments opened, directives heeded, checked against R4 before anything is read.

https://spec.graphql.org/October2021/#sec-Executing-Selection-Sets · https://hl7.org/fhir/R4/graphql.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from suture.errors import Invalid, NotAllowed, TooCostly
from suture.services.graphql import steps
from suture.services.graphql.steps import UNKNOWN, Step
from suture.standards.fhir.definitions import type_definition
from suture.standards.graphql.tree import Declared, Directive, Document, Field, Operation, Selection, Spread, Variable

MOST_FIELDS = 5000  # of a query, its fragments opened
DEEPEST = 30
DIRECTIVES = {"skip": "if", "include": "if", "flatten": "", "first": "", "singleton": "", "slice": "path"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "Boolean": (bool,),
    "Int": (int,),
    "Float": (int, Decimal),
    "String": (str,),
    "ID": (str, int),
}
_OF_LISTS = frozenset({"fhirpath", "_offset", "_count"})
_FREE = frozenset({"list", "connection"})  # their arguments are search parameters


Selections = tuple[Selection, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The fields of one key, which mean the same, and all that they name below."""

    field: Field
    inner: Selections


class Scope:
    """The chosen operation and all that its selections mean."""

    def __init__(self, document: Document, name: str, given: Mapping[str, Any]) -> None:
        self.operation = _chosen(document, name)
        self._fragments = document.fragments
        self._values = {v.name: _bound(v, given) for v in self.operation.variables}
        self._groups: dict[tuple[int, str], list[Group]] = {}
        self._kept: list[Selections] = []  # so that their ids stay theirs
        self._fields = self._depth = 0
        self._checking = True

    def check(self, type: str) -> None:
        """Raises for a field, argument or directive that isn't there, and for a query that is too large."""
        self._check(self.operation.selections, type)
        self._fields, self._checking = 0, False

    def _check(self, selections: Selections, type: str) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise TooCostly(f"the query is nested deeper than {DEEPEST}", where="query", mend="Ask in parts.")
        for group in self.groups(selections, type):
            found = steps.step(type, group.field)
            check_arguments(group.field, found)
            for value in group.field.arguments.values():
                self.value(value)
            if found.type != UNKNOWN or group.inner:
                _check_inner(group.field, found, bool(group.inner))
            self._check(group.inner, self._below(group.field, found))
        self._depth -= 1

    def _below(self, field: Field, found: Step) -> str:
        """The type whose fields the selections of a field name."""
        if found.way == "resource" and "type" in field.arguments:
            wanted = str(self.value(field.arguments["type"]))
            return wanted if steps.is_object(wanted) else UNKNOWN
        return UNKNOWN if found.type == "Resource" else found.type

    def groups(self, selections: Selections, type: str) -> list[Group]:
        """The fields that are meant for a type, those of one key together."""
        known = self._groups.get((id(selections), type))
        if known is None:
            keyed: dict[str, list[Field]] = {}
            for field in self._opened(selections, type, ()):
                keyed.setdefault(field.key, []).append(field)
            known = self._groups[id(selections), type] = [_group(fields) for fields in keyed.values()]
            self._kept.append(selections)
        return known

    def _opened(self, selections: Selections, type: str, way: tuple[str, ...]) -> Iterator[Field]:
        for part in selections:
            self._fields += 1
            if self._fields > MOST_FIELDS:
                raise TooCostly(f"the query has more than {MOST_FIELDS} fields", where="query", mend="Ask in parts.")
            if not self._wanted(part):
                continue
            if isinstance(part, Field):
                yield part
            else:
                yield from self._spread(part, type, way)

    def _spread(self, part: Spread, type: str, way: tuple[str, ...]) -> Iterator[Field]:
        condition, selections = part.type, part.selections
        if part.fragment:
            fragment = self._fragments.get(part.fragment)
            if fragment is None or part.fragment in way:
                why = "contains itself" if fragment else "is not there"
                raise Invalid(f"the fragment '{part.fragment[:100]}' {why}", where=f"query {part.place}")
            condition, selections = fragment.type, fragment.selections
        if condition and not steps.is_object(condition):
            raise Invalid(f"R4 has no type '{condition[:100]}'", where=f"query {part.place}")
        if type == UNKNOWN and condition and self._checking:
            self._check(selections, condition)
        elif not condition or steps.fits(type, condition):
            yield from self._opened(selections, type, (*way, part.fragment) if part.fragment else way)

    def _wanted(self, part: Selection) -> bool:
        for directive in part.directives:
            _check_directive(directive, part.place)
            if directive.name in ("skip", "include"):
                value = self.value(directive.arguments["if"])
                if not isinstance(value, bool):
                    raise Invalid(f"@{directive.name} needs a Boolean", where=f"query {part.place}")
                if value is (directive.name == "skip"):
                    return False
        return True

    def value(self, value: Any) -> Any:
        """A value of the query with its variables put in."""
        if isinstance(value, Variable):
            if value.name not in self._values:
                raise Invalid("this variable is not declared", where=f"variables.{value.name[:100]}")
            return self._values[value.name]
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            raise Invalid("no argument here is an object", where="query")
        return value


def _chosen(document: Document, name: str) -> Operation:
    found = [o for o in document.operations if not name or o.name == name]
    if len(found) != 1:
        names = ", ".join(o.name[:50] for o in document.operations[:20]) or "none"
        raise Invalid("which operation is meant?", where="operationName", mend=f"The query has: {names}.")
    if found[0].kind != "query":
        raise NotAllowed("only queries are answered", where="query", mend="Write with POST, PUT and PATCH.")
    return found[0]


def _bound(variable: Declared, given: Mapping[str, Any]) -> Any:
    """The value of a variable; raises Invalid when it is missing or of another type."""
    kind, required = variable.type.removesuffix("!"), variable.type.endswith("!")
    value = given.get(variable.name, variable.default)
    place = f"variables.{variable.name[:100]}"
    if value is None:
        if required:
            raise Invalid("this variable needs a value", where=place)
        return None
    items = value if isinstance(value, list) and kind.startswith("[") else [value]
    for item in items:
        _check_scalar(kind.strip("[]!"), item, place)
    return items if kind.startswith("[") else value


def _check_scalar(kind: str, value: Any, place: str) -> None:
    wanted = _SCALARS.get(kind, (str, int, Decimal))
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        raise Invalid(f"not a {kind[:50]}", where=place)


def _check_directive(directive: Directive, place: str) -> None:
    argument = DIRECTIVES.get(directive.name)
    given = set(directive.arguments)
    if argument is None:
        raise Invalid(
            f"there is no @{directive.name[:50]}", where=f"query {place}", mend=f"There are: @{', @'.join(DIRECTIVES)}."
        )
    if given != ({argument} if argument else set()) and not (directive.name == "slice" and given == {"fhirpath"}):
        takes = f"one argument, '{argument}'" if argument else "no argument"
        raise Invalid(f"@{directive.name} takes {takes}", where=f"query {place}")


def _group(fields: list[Field]) -> Group:
    first = fields[0]
    for field in fields:
        if (field.name, field.arguments, field.directives) != (first.name, first.arguments, first.directives):
            raise Invalid(
                f"'{field.key[:100]}' stands here twice with different meanings",
                where=f"query {field.place}",
                mend="Give one an alias.",
            )
    return Group(first, tuple(part for field in fields for part in field.selections))


def check_arguments(field: Field, found: Step) -> None:
    """Raises for an argument that a field doesn't take."""
    if found.way in _FREE or found.type == UNKNOWN:
        return
    known = _known(found)
    for name in field.arguments:
        if name not in known:
            raise Invalid(f"'{field.name[:100]}' takes no '{name[:100]}'", where=f"query {field.place}")


def _known(found: Step) -> frozenset[str] | set[str]:
    """The arguments of a field that is no search."""
    if found.way == "resource":
        return {"optional", "type"}
    if found.way == "one":
        return {"id", "_id"}
    if not found.many:
        return set()
    definition = type_definition(found.type)
    simple = {key for key, (_, kind) in definition.keys.items() if not steps.is_object(kind)} if definition else set()
    return _OF_LISTS | simple


def _check_inner(field: Field, found: Step, inner: bool) -> None:
    if found.leaf and inner:
        raise Invalid(f"'{field.name[:100]}' has no fields", where=f"query {field.place}")
    if not found.leaf and not inner:
        raise Invalid(
            f"which fields of '{field.name[:100]}'?", where=f"query {field.place}", mend="Name them in braces."
        )
