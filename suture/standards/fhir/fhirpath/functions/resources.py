"""The functions that FHIR adds: extension(), resolve(), memberOf(), conformsTo(), htmlChecks(), type() (https://hl7.org/fhir/R4/fhirpath.html#functions)."""

from __future__ import annotations

import re
from typing import Any

import suture.standards.fhir.fhirpath.kinds as kinds
import suture.standards.fhir.fhirpath.model as model
import suture.standards.fhir.fhirpath.paths as paths
import suture.standards.fhir.fhirpath.tree as tree
from suture.standards.fhir import narrative
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Scope, from_truth, unfit
from suture.standards.fhir.fhirpath.values import Item, system, system_name, type_of

_LOCAL = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?$")
_DEFINITIONS = "http://hl7.org/fhir/StructureDefinition/"


def _extension(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    found = paths.member(source, "extension")
    run, url = found.run, compiler.values(compiler.compile(node.arguments[0], scope))
    dynamic = found.type is None

    def picked(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        if not items:
            return NONE
        wanted = url(state, this)
        state.spend(len(items))
        rows = [item.value if dynamic and type(item) is Item else item for item in items]
        return [row for row in rows if isinstance(row, dict) and [row.get("url")] == wanted]

    return Code(picked, "Extension", possible=("Extension",))


# --- resolve


def _resolve(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = source.run

    def resolved(state: Evaluation, this: Any) -> list[Any]:
        items = run(state, this)
        state.spend(len(items) * 4)
        found = (_target(item.value if type(item) is Item else item, state) for item in items)
        return [one for one in found if one is not None]

    return Code(resolved, None)


def _target(item: Any, state: Evaluation) -> Any:
    reference = item.get("reference") if isinstance(item, dict) else item
    if not isinstance(reference, str):
        return None
    if reference.startswith("#"):
        return _contained(reference[1:], state)
    resolve = state.environment.resolve
    return resolve(reference) if resolve else _by_text(reference, item)


def _contained(identifier: str, state: Evaluation) -> Any:
    variables = state.environment.variables
    owner = variables.get("rootResource", variables.get("resource", state.focus))
    if not isinstance(owner, dict):
        return None
    if not identifier:
        return owner
    inside = owner.get("contained")
    rows = inside if isinstance(inside, list) else []
    return next((row for row in rows if isinstance(row, dict) and row.get("id") == identifier), None)


def _by_text(reference: str, item: Any) -> Any:
    """Without a resolver a reference still says its type and id."""
    match = _LOCAL.search(reference)
    if match and model.resource(match[1]):
        return {"resourceType": match[1], "id": match[2]}
    kind = item.get("type") if isinstance(item, dict) else None
    return {"resourceType": kind} if isinstance(kind, str) and model.resource(kind) else None


# --- terminology, profiles, narrative


def _member_of(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run, url = source.run, compiler.values(compiler.compile(node.arguments[0], scope))
    column = node.column

    def truth(state: Evaluation, this: Any) -> bool | None:
        items, wanted = run(state, this), url(state, this)
        if not items or not wanted:
            return None
        if len(items) > 1:
            raise unfit(column, "memberOf() needs one code, there are several")
        ask = state.environment.member_of
        if ask is None:
            raise unfit(column, "no terminology is at hand for memberOf()")
        return ask(items[0].value if type(items[0]) is Item else items[0], str(wanted[0]))

    return from_truth(truth)


def _conforms(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run, url = compiler.boxed(source).run, compiler.values(compiler.compile(node.arguments[0], scope))
    column = node.column

    def truth(state: Evaluation, this: Any) -> bool | None:
        items, wanted = run(state, this), url(state, this)
        if not items or not wanted:
            return None
        if len(items) > 1:
            raise unfit(column, "conformsTo() needs one item, there are several")
        profile = str(wanted[0])
        kind = profile.removeprefix(_DEFINITIONS)
        if profile.startswith(_DEFINITIONS) and model.known(kind):
            return kinds.matches(items[0], kind)
        ask = state.environment.conforms
        verdict = ask(items[0].value if type(items[0]) is Item else items[0], profile) if ask else None
        if verdict is None:
            raise unfit(column, "conformsTo() names a profile that is not at hand")
        return verdict

    return from_truth(truth)


def _html_checks(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = compiler.values(source)

    def truth(state: Evaluation, this: Any) -> bool | None:
        items = run(state, this)
        state.spend(sum(1 + len(item) // 64 for item in items if isinstance(item, str)))
        return all(narrative.fine_div(item) for item in items) if items else None

    return from_truth(truth)


# --- type()


def _type(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    run = compiler.boxed(source).run
    return Code(lambda state, this: [row for item in run(state, this) if (row := _described(item))], None)


def _described(item: Any) -> dict[str, Any] | None:
    kind = type_of(item)
    if kind is None:
        name = system_name(system(item))
        return {"namespace": "System", "name": name, "baseType": "System.Any"} if name else None
    above = model.ancestors(kind)[1:2]
    return {"namespace": "FHIR", "name": kind, "baseType": f"FHIR.{above[0]}" if above else "System.Any"}


ROWS: dict[str, Row] = {
    "extension": Row(_extension, 1, 1),
    "resolve": Row(_resolve, 0, 0),
    "memberOf": Row(_member_of, 1, 1),
    "conformsTo": Row(_conforms, 1, 1),
    "htmlChecks": Row(_html_checks, 0, 0),
    "type": Row(_type, 0, 0),
}
