"""Names of types in an expression, and the tests `is`, `as` and ofType() (http://hl7.org/fhirpath/N1/#types)."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.paths as paths
from suture.standards.fhir import definitions
from suture.standards.fhir.fhirpath.code import FALSE, NONE, TRUE, Code, Compiler, Evaluation, Scope, unfit, wrong
from suture.standards.fhir.fhirpath.values import Item, Many, system_name, type_of


def resolve(name: str, column: int) -> str:
    """`System.X` or the name of a FHIR type; raises InvalidSyntax for a type that nobody knows."""
    space, _, rest = name.rpartition(".")
    if space == "System":
        return name
    if space == "FHIR" or (not space and model.known(rest)):
        if model.known(rest):
            return rest
    elif not space and rest in model.SYSTEM:
        return f"System.{rest}"
    elif model.known(name):
        return name
    raise _unknown(rest, column)


def _unknown(name: str, column: int) -> Exception:
    close = get_close_matches(name, [*definitions.RESOURCE_TYPES, *model.SYSTEM, *_DATATYPES], 1)
    return wrong(column, f"there is no type '{name}'", f"Did you mean {close[0]}?" if close else "")


_DATATYPES = (
    "Address", "Age", "Annotation", "Attachment", "CodeableConcept", "Coding", "ContactPoint", "Duration", "Extension",
    "HumanName", "Identifier", "Money", "Period", "Quantity", "Range", "Ratio", "Reference", "Timing", "boolean", "code",
    "date", "dateTime", "decimal", "id", "instant", "integer", "markdown", "string", "time", "uri", "url", "uuid",
)  # fmt: skip


def element_names(kind: str) -> list[str]:
    """The names that may follow a value of the type in a path."""
    if kind.startswith("System."):
        return []
    return list(model.children(kind))


def has_element(item: Any, name: str) -> bool:
    """Whether an item has such an element, by its type, or by its content when it has none."""
    kind = type_of(item)
    if kind is not None:
        return name in model.children(kind)
    value = item.value if type(item) is Item else item
    return isinstance(value, dict) and name in value


def matches(item: Any, kind: str) -> bool:
    """`is`: of the type or of one that specializes it."""
    own = type_of(item)
    if own is not None:
        return not kind.startswith("System.") and model.derives(own, kind)
    name = system_name(item)
    return name is not None and (kind in (f"System.{name}", "System.Any") or (kind == name == "Quantity"))


def _exactly(item: Any, kind: str) -> bool:
    """ofType(): primitives of just this type, everything else as `is` does."""
    return type_of(item) == kind if model.primitive(kind) else matches(item, kind)


def is_type(compiler: Compiler, operand: Code, kind: str, column: int) -> Code:
    """`x is T`."""
    run = compiler.boxed(operand).run

    def test(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        if not items:
            return NONE
        if len(items) > 1:
            raise unfit(column, "'is' needs one value, there are several")
        return TRUE if matches(items[0], kind) else FALSE

    return Code(test, "System.Boolean", possible=("System.Boolean",))


def of_type(compiler: Compiler, operand: Code, kind: str) -> Code:
    """ofType() and `as`: the items that are of the type."""
    narrowed = paths.narrowed(operand, kind)
    if narrowed is not None:
        return narrowed
    if operand.type == kind and not model.resource(kind):
        return operand
    if kind.startswith("System."):
        return _system_items(compiler.boxed(operand), kind)
    return _fhir_items(compiler.boxed(operand), kind)


def _system_items(operand: Code, kind: str) -> Code:
    run = operand.run
    return Code(lambda state, this: [item for item in run(state, this) if matches(item, kind)], kind, possible=(kind,))


def _fhir_items(operand: Code, kind: str) -> Code:
    run, bare = operand.run, not model.primitive(kind)

    def test(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        state.spend(len(items))
        found = [item for item in items if _exactly(item, kind)]
        if bare:
            return [item.value if type(item) is Item else item for item in found]
        return found

    if kind == "Quantity":  # a System.Quantity may be among them
        return Code(
            lambda state, this: [one for one in run(state, this) if _exactly(one, kind)], None, possible=(kind,)
        )
    return Code(test, model.static(kind), possible=(kind,), ordered=operand.ordered)


def scope_of(kind: str) -> Scope:
    """The scope of a whole expression whose focus has the type ('' when that is open)."""
    if not kind:
        return Scope(None, None)
    return Scope(model.static(kind), (kind,))


__all__ = ["Many", "element_names", "has_element", "is_type", "matches", "of_type", "resolve", "scope_of"]
