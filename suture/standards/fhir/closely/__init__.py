"""The close look: rules over whole resources that the standard tells in words (https://hl7.org/fhir/R4/validation.html).

`look` comes after the validator's `check`, where somebody asks for it: $validate, `suture validate`. Writes are not held up by it.
"""

from __future__ import annotations

from typing import Any

from suture.errors import Issue
from suture.standards.fhir.closely import (
    bundle,
    canonicals,
    code_systems,
    codes,
    displays,
    document,
    extensions,
    narrative,
    parameters,
    questionnaires,
    references,
    responses,
    structure,
    texts,
    value_sets,
    vital_signs,
)
from suture.standards.fhir.closely.node import STRICT, Around, Node, Whole, nodes
from suture.standards.fhir.closely.rule import Rule

__all__ = ["STRICT", "Around", "Node", "Rule", "look"]

MOST = 200  # findings of one look
RULES: tuple[Rule, ...] = (
    *bundle.RULES,
    *document.RULES,
    *references.RULES,
    *extensions.RULES,
    *texts.RULES,
    *narrative.RULES,
    *canonicals.RULES,
    *code_systems.RULES,
    *codes.RULES,
    *displays.RULES,
    *parameters.RULES,
    *questionnaires.RULES,
    *responses.RULES,
    *structure.RULES,
    *value_sets.RULES,
    *vital_signs.RULES,
)
ABOUT = {type: tuple(rule.look for rule in RULES if rule.type == type) for type in {rule.type for rule in RULES}}


def look(resource: dict[str, Any], around: Around | None = None) -> list[Issue]:
    """The findings of all rules, up to a number; an empty list when there are none."""
    found: list[Issue] = []
    for node in nodes(Whole(resource, around or Around())):
        for rule in (*ABOUT.get(node.type, ()), *ABOUT.get("*", ())):
            found.extend(rule(node))
        if len(found) > MOST:
            return [
                *found[:MOST],
                Issue("information", "informational", "There are more findings.", "", "Mend these first."),
            ]
    return found
