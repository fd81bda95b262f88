"""What a ValueSet's compose may ask for: systems by absolute address, codes and filters that the code systems have.

https://hl7.org/fhir/R4/valueset.html#compositions · https://hl7.org/fhir/R4/snomedct.html#filters
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import suture.standards.fhir.fhirpath.parser as parser
from suture.errors import Issue, SutureError
from suture.standards.fhir.closely.code_systems import KNOWN
from suture.standards.fhir.closely.codes import SNOMED, unwritten
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import extensions, rows, text
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.closely.systems import system
from suture.standards.terminology.code_system import CodeSystem

PARAMETER = "http://hl7.org/fhir/tools/StructureDefinition/valueset-parameter"
EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+").fullmatch
_VARIABLE = re.compile(r"%([A-Za-z][A-Za-z0-9_\-]*)")  # a parameter's name is a code: it may have hyphens
_OF_TREE = frozenset({"is-a", "descendent-of", "is-not-a", "generalizes"})
LONGEST = 20_000  # characters of an expression that is looked at
_ATTRIBUTE = re.compile(r"[1-9][0-9]{5,17}").fullmatch
_ECL_OUT = re.compile(r"\|[^|]*\||\{\{.*?\}\}|\"[^\"]*\"|\[[^\]]*\]|/\*.*?\*/", re.S)
_ECL = re.compile(
    r"\s+|(?P<before><<!|<<|<!|<|>>!|>>|>!|>|\^|!!?)|(?P<what>#?[0-9]+|\*)|(?P<word>[A-Za-z]+)|(?P<else>.)", re.S
)


def included(node: Node) -> Iterator[Issue]:
    """Every include and exclude."""
    for name in ("include", "exclude"):
        for number, part in rows(node.value, name):
            place, url = f"{node.path}.{name}[{number}]", text(part, "system")
            if url and not _ABSOLUTE(url):
                mend = "Write the url of the code system, also of a contained one."
                yield error(f"{place}.system", "The system is an absolute address.", mend, "value")
                continue
            known = system(node, url) if url else None
            yield from _concepts(place, part, url, known)
            for at, row in rows(part, "filter"):
                yield from _filter(f"{place}.filter[{at}]", row, url, known)


def _concepts(place: str, part: dict[str, Any], url: str, known: CodeSystem | None) -> Iterator[Issue]:
    for number, row in rows(part, "concept"):
        code, at = text(row, "code"), f"{place}.concept[{number}].code"
        wrong = unwritten(url, code) if code else None
        if wrong:
            yield error(at, *wrong, "code-invalid")
        elif known is not None and known.find(code) is None:
            yield error(at, f"The code system {url} has no such code.", "Take one of its codes.", "code-invalid")


def _filter(place: str, row: dict[str, Any], url: str, known: CodeSystem | None) -> Iterator[Issue]:
    name, op, value = text(row, "property"), text(row, "op"), text(row, "value")
    if not value:
        return
    if url == SNOMED:
        yield from _snomed(place, name, op, value)
    elif op in _OF_TREE and known is not None and known.find(value) is None:
        yield error(f"{place}.value", "The code system has no such code.", "Take one of its codes.", "code-invalid")
    if op in ("=", "exists") and (op == "exists" or _type(known, name) == "boolean") and value not in ("true", "false"):
        yield error(f"{place}.value", "The filter asks for true or false.", "Write true or false.", "value")


def _type(known: CodeSystem | None, name: str) -> str:
    """The type of a property: as the code system declares it, as the standard does else."""
    for row in known.head.get("property", []) if known is not None else ():
        if row.get("code") == name:
            return str(row.get("type", ""))
    return KNOWN.get(name, "") if known is None or not known.has_property(name) else ""


def _snomed(place: str, name: str, op: str, value: str) -> Iterator[Issue]:
    """SNOMED CT's filters: concepts and what is below them, attributes, expression constraints."""
    if name == "constraint" and op == "=" and not soundly(value):
        yield error(f"{place}.value", "This is no expression constraint.", "Write it in ECL: << 404684003", "value")
    if name == "concept" and op in ("is-a", "descendent-of", "=") and unwritten(SNOMED, value):
        yield error(f"{place}.value", *(unwritten(SNOMED, value) or ("", "")), "code-invalid")
    if _ATTRIBUTE(name) and op not in ("=", "in"):
        yield error(f"{place}.op", "Attributes of SNOMED CT are asked for with = and in.", "Write = or in.", "value")


def soundly(text: str) -> bool:
    """Whether a text could be ECL: operands are joined by operators, and every bracket is closed."""
    if len(text) > LONGEST:
        return True  # nobody can tell
    rest, open_, operand = _ECL_OUT.sub(" ", text), 0, False
    for found in _ECL.finditer(rest):
        sign = found["else"] or ""
        if (found["what"] or found["before"] or sign == "(") and operand:
            return False
        operand = bool(found["what"]) or sign == ")" or (operand and found[0].isspace())
        open_ += (sign in "({" and bool(sign)) - (sign in ")}" and bool(sign))
        if open_ < 0:
            return False
    return open_ == 0 and bool(rest.strip())


def parameters(node: Node) -> Iterator[Issue]:
    """Filters whose value is an expression: FHIRPath, over the parameters that the value set declares."""
    named = {
        str(next(extensions(row, "name"), ""))
        for _, row in rows(node.resource.value, "extension")
        if row.get("url") == PARAMETER
    }
    for name in ("include", "exclude"):
        for number, part in rows(node.value, name):
            for at, row in rows(part, "filter"):
                for found in extensions(row.get("_value"), EXPRESSION):
                    yield from _expression(f"{node.path}.{name}[{number}].filter[{at}].value", found, named)


def _expression(place: str, value: Any, named: set[str]) -> Iterator[Issue]:
    if text(value, "language") != "text/fhirpath":
        yield error(place, "The language of an expression in a value set is FHIRPath.", "Write text/fhirpath.", "value")
        return
    expression = text(value, "expression")
    try:
        parser.parse(_VARIABLE.sub("%x", expression))
    except SutureError:
        yield error(place, "The expression is no FHIRPath.", "Mend it.", "value")
        return
    for variable in _VARIABLE.findall(expression):
        if variable not in named:
            mend = "Declare it, or name one of: " + (", ".join(sorted(named)) or "none is declared") + "."
            yield error(place, "The expression asks for a parameter that is not declared.", mend, "value")


RULES = (Rule("ValueSet.compose", included), Rule("ValueSet.compose", parameters))
