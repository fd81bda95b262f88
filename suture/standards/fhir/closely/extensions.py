"""Extensions: where each may stand, what it holds, and which nobody knows (https://hl7.org/fhir/R4/extensibility.html).

What is known are the extensions that R4 defines and those whose StructureDefinitions are at hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import suture.standards.fhir.closely.within as within
from suture.errors import Inapplicable, InvalidSyntax, Issue, TooCostly
from suture.standards.fhir.closely.defined import Defined, Shape, of_r4, of_us_core, read
from suture.standards.fhir.closely.node import Node, Whole, is_resource
from suture.standards.fhir.closely.rule import Rule, error, warning
from suture.standards.fhir.closely.texts import EXAMPLE
from suture.standards.fhir.definitions import type_definition
from suture.standards.fhir.fhirpath import Environment, compile

MODIFIER = ".modifierExtension"
# there are more than R4 defines: of other versions, and HL7's package of extensions; those of guides have a realm
HL7 = re.compile(r"http://hl7\.org/fhir/(?!(?:uv|[a-z]{2})/)").match
DEEPEST = 8  # extensions around one that tell what it is
MOST_RULES = 2000  # rules of places that are evaluated in one look
_DEFINING = """
StructureDefinition SearchParameter CapabilityStatement CodeSystem ValueSet OperationDefinition ImplementationGuide
ConceptMap NamingSystem CompartmentDefinition GraphDefinition StructureMap
"""
# where the standard's own resources don't keep to the places that R4 gives its extensions
DEFINING = frozenset(_DEFINING.split())


def known(node: Node, url: str) -> Defined | None:
    """The definition of an extension; one at hand goes before R4's own and US Core's."""
    made = node.whole.once(_definitions)
    if url not in made:
        found = node.around.definition("StructureDefinition", url)
        made[url] = (read(found) if found else None) or of_r4(url) or of_us_core(url)
    return made[url]


def _definitions(whole: Whole) -> dict[str, Defined | None]:
    return {}


def extension(node: Node) -> Iterator[Issue]:
    """All rules of one extension."""
    url = node.value.get("url") if isinstance(node.value, dict) else None
    if not isinstance(url, str) or node.up is None:
        return
    told = _told(node, url)
    if told is not None:
        yield from _holds(node, told)
    elif not within.ABSOLUTE(url):
        yield from _relative(node)
    elif "|" in url:
        yield error(node, "The address of an extension names no version.", "Leave out what follows the |.", "value")
    else:
        yield from _absolute(node, url)


def _told(node: Node, url: str, depth: int = 0) -> Shape | None:
    """What the extension around it says it holds; None when it stands alone, or nothing is said."""
    shape = _shape(node.up, depth + 1) if node.up is not None and node.up.type == "Extension" else None
    return shape.inner[url][2] if shape and shape.inner and url in shape.inner else None


def _shape(node: Node, depth: int = 0) -> Shape | None:
    url = node.value.get("url") if isinstance(node.value, dict) else None
    if not isinstance(url, str) or depth > DEEPEST:
        return None
    found = _told(node, url, depth)
    if found is None and within.ABSOLUTE(url):
        definition = known(node, url)
        return definition.shape if definition else None
    return found


def _relative(node: Node) -> Iterator[Issue]:
    around = node.up
    if around is None or around.type != "Extension":
        yield error(node, "The address of an extension is absolute.", "Write the url of its definition.", "value")
        return
    shape = _shape(around)
    if shape is not None and shape.inner is not None:
        mend = f"It holds: {', '.join(sorted(shape.inner))}." if shape.inner else "It holds no others."
        yield error(node, "The extension around this does not define it.", mend, "structure")


def _absolute(node: Node, url: str) -> Iterator[Issue]:
    definition = known(node, url)
    if definition is None:
        yield from _unknown(node)
        return
    modifies = node.element.endswith(MODIFIER)
    if modifies and not definition.modifier:
        yield error(node, "This extension modifies nothing.", "Move it to extension.", "structure")
    elif definition.modifier and not modifies and _modifiable(node):
        yield error(node, "This extension modifies what it stands in.", "Move it to modifierExtension.", "structure")
    yield from _placed(node, definition)
    yield from _holds(node, definition.shape)


def _modifiable(node: Node) -> bool:
    around = type_definition(node.up.type) if node.up else None
    return around is not None and "modifierExtension" in around.elements


def _unknown(node: Node) -> Iterator[Issue]:
    mend = "Make its StructureDefinition known, or leave it out."
    url, strict = str(node.value["url"]), node.around.strict
    exempt = HL7(url) or ("examples" not in strict and EXAMPLE.match(url))
    if "extensions" in strict and not exempt:
        yield error(node, "Nobody here knows this extension.", mend, "extension")
    elif node.element.endswith(MODIFIER):
        yield warning(node, "Nobody here knows this extension, and it changes the meaning of what it stands in.", mend)


# --- what it holds


def _holds(node: Node, shape: Shape) -> Iterator[Issue]:
    for key in node.value:
        kind = _kind(key)
        if kind and shape.types is not None and kind not in shape.types:
            mend = f"It takes: {', '.join(sorted(shape.types))}." if shape.types else "It holds extensions, no value."
            yield error(node, f"This extension takes no {kind}.", mend, "structure")
    for name, (least, most, _) in (shape.inner or {}).items():
        count = sum(isinstance(one, dict) and one.get("url") == name for one in _inner(node))
        if count < least:
            yield error(node, f"This extension needs an extension {name}.", "Add it.", "required")
        elif most is not None and count > most:
            yield error(
                node, f"This extension holds {name} {count} times; the most is {most}.", "Remove some.", "structure"
            )


def _inner(node: Node) -> list[Any]:
    found = node.value.get("extension")
    return found if isinstance(found, list) else []


def _kind(key: str) -> str:
    """The type of a value[x] by its key."""
    definition = type_definition("Extension")
    assert definition is not None
    element = definition.keys.get(key)
    return element[1] if element and element[0].name == "value" else ""


# --- where it stands


def _placed(node: Node, definition: Defined) -> Iterator[Issue]:
    around = node.up
    assert around is not None
    lenient = around.resource.type in DEFINING and of_r4(definition.url) == definition
    if definition.contexts and not lenient and not any(_fits(around, kind, text) for kind, text in definition.contexts):
        mend = f"It may stand in: {', '.join(text for _, text in definition.contexts)[:400]}."
        yield error(node, "This extension may not stand here.", mend, "structure")
    for rule in definition.rules:
        if _kept(around, node, rule) is False:
            yield error(node, "This extension may not stand here as things are.", f"It asks: {rule[:300]}", "structure")


def _fits(around: Node, kind: str, text: str) -> bool:
    if kind == "element":
        return (
            text == "Element"
            or "#" in text
            or ":" in text
            or _unheard(text)
            or text.replace("[x]", "") in _names(around)
        )
    if kind == "extension":
        return any(
            one is not None and one.type == "Extension" and one.value.get("url") == text for one in (around, around.up)
        )
    return kind != "fhirpath" or _selected(around, text)


def _unheard(text: str) -> bool:
    """An element of a type that R4 has not: nobody here can tell."""
    return type_definition(text.partition(".")[0]) is None


def _names(node: Node) -> set[str]:
    """All that a definition may call the element: its type and what that stems from, its place in any of its owners."""
    owner, _, name = node.element.rpartition(".")
    found = {*_stems(node.type), _whole_path(node)}
    if node.up is not None and not is_resource(node):
        found |= {f"{one}.{name}" for one in (owner, *_stems(node.up.type))}
    if is_resource(node) and node.up is not None:
        found.add(node.element)
    return found


def _stems(type: str) -> Iterator[str]:
    while type:
        yield type
        definition = type_definition(type)
        type = definition.parent if definition else ""


def _whole_path(node: Node) -> str:
    """Names from the resource down: `Patient.contact.name`."""
    names: list[str] = []
    while node.up is not None and not is_resource(node):
        names.append(node.element.rpartition(".")[2])
        node = node.up
    return ".".join([node.type, *reversed(names)])


def _selected(around: Node, text: str) -> bool:
    """Whether an expression over the resource leads to the element; yes where it can't be evaluated."""
    made = around.whole.once(_selections)
    key = (id(around.resource.value), text)
    if key not in made:
        made[key] = _selection(around, text)
    found = made[key]
    return found is None or True in found or _mark(around.value) in found


def _selections(whole: Whole) -> dict[tuple[int, str], set[Any] | None]:
    return {}


def _selection(around: Node, text: str) -> set[Any] | None:
    try:
        return {_mark(one) for one in compile(text).evaluate(around.resource.value, _environment(around))}
    except (Inapplicable, InvalidSyntax, TooCostly):
        return None


def _mark(value: Any) -> Any:
    """What tells an element from others: the very object, or a primitive's text."""
    return value if value is True else id(value) if isinstance(value, (dict, list)) else str(value)


def _kept(around: Node, node: Node, rule: str) -> bool | None:
    """Whether a rule holds of the element; it is asked once, or a bounded number of times where it looks at the extension."""
    made = around.whole.once(_verdicts)
    key = (id(around.value), id(node.value) if "%extension" in rule else 0, rule)
    if key not in made:
        made[key] = _verdict(around, node, rule) if len(made) < MOST_RULES else None
    return made[key]


def _verdicts(whole: Whole) -> dict[tuple[int, int, str], bool | None]:
    return {}


def _verdict(around: Node, node: Node, rule: str) -> bool | None:
    try:
        return compile(rule).verdict(around.value, _environment(around, node.value))
    except (Inapplicable, InvalidSyntax, TooCostly):
        return None


def _environment(around: Node, own: Any = None) -> Environment:
    variables = {"resource": around.resource.value, "rootResource": around.whole.resource, "extension": own}
    return Environment(variables=variables)


def of_an_id(node: Node) -> Iterator[Issue]:
    """A resource's id has no extensions: it is no more than part of an address (https://hl7.org/fhir/R4/resource.html#id)."""
    if node.up is not None and is_resource(node.up) and node.shadow is not None and "extension" in node.shadow:
        yield error(node, "The id of a resource has no extensions.", "Leave them out.", "structure")


RULES = (Rule("Extension", extension), Rule("id", of_an_id))
