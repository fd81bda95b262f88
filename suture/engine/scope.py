"""What an expression at one place of a flow may name: its roots, the steps before it, elements of the content there.

http://hl7.org/fhirpath/N1/#path-selection
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from suture import spelling
from suture.engine.expressions import ROOTS, TEMPLATE, compiled
from suture.engine.plan import Door, Place, Step, walk
from suture.errors import InvalidSyntax, Problems
from suture.standards.fhir.definitions import RESOURCE_TYPES, element_names, type_definition
from suture.standards.fhir.fhirpath import Head, heads

Elements = frozenset[str] | None  # what a content may hold at its top; None: anything (JSON)
ANYTHING: Elements = None
NOTHING: Elements = frozenset()  # HL7 v2 is reached by its places
NEAR = 0.8  # so like a root or a step is no element by chance


def resources(types: Iterable[str] = ()) -> frozenset[str]:
    """The elements of some resource types, or of all; the type itself may stand before them."""
    known = [found for name in types if (found := type_definition(name))]
    names = frozenset(name for found in known for name in found.elements) or element_names("resource")
    return names | RESOURCE_TYPES | {"Resource", "DomainResource"}


def of_source(door: Door) -> Elements:
    """What the messages of a source hold."""
    if door.uses == "mllp.listen":
        return NOTHING
    if door.uses == "fhir.poll":
        return resources([str(door.with_.get("type"))])
    types = door.with_.get("types")
    return resources(map(str, types if isinstance(types, list) else ())) if door.uses == "fhir.changed" else ANYTHING


@dataclass(frozen=True, slots=True)
class Scope:
    """One place of a flow; findings go to `problems`."""

    problems: Problems
    before: tuple[str, ...] = ()  # steps already walked
    every: frozenset[str] = frozenset()  # all step ids of the flow
    content: Elements = ANYTHING
    lines: Sequence[str] = field(default=(), repr=False)  # of the file, to find the column inside a text

    def after(self, steps: tuple[Step, ...], *, maybe: bool = False) -> Scope:
        """What may be named after these steps: after a map the content is FHIR; where one may be walked, perhaps."""
        inside = list(walk(steps))
        content = self.content
        if not maybe and any(step.uses == "map" for step in steps):
            content = resources()
        elif content is not None and any(step.uses == "map" for step in inside):
            content = content | resources()
        return replace(self, before=(*self.before, *(step.id for step in inside if step.id)), content=content)

    def template(self, text: str, at: Place) -> None:
        """Adds what is wrong with the expressions inside a text."""
        if text.count("{{") != text.count("}}"):
            self.problems.add(at, "a '{{' without its '}}'", "Write {{ expression }}.")
            return
        for found in TEMPLATE.finditer(text):
            inner = found[1]
            self.expression(inner.strip(), at, found.start(1) + len(inner) - len(inner.lstrip()))

    def expression(self, text: str, at: Place, offset: int = 0) -> None:
        """Adds what is wrong with an expression that begins `offset` characters into the text at `at`."""
        try:
            compiled(text, self.before)
        except InvalidSyntax as error:
            self.problems.add(
                at,
                f"the expression cannot be read ({error.where}): {error.text}",
                error.mend or "It is FHIRPath; see docs/fhirpath.md.",
            )
            return
        for head in heads(text, locations=True):
            self._head(head, self._place(head, at, offset + head.column - 1))

    def _head(self, head: Head, at: Place) -> None:
        if head.name in (*self.before, *ROOTS):
            return
        if head.name in self.every:
            self.problems.add(
                at,
                f"'{head.name}' is a step that comes later",
                "Use a step that stands before this one, or move it up.",
            )
        elif not self._element(head):
            self.problems.add(at, *self._unknown(head))

    def _element(self, head: Head) -> bool:
        """Whether it may be an element: of the content, or inside an argument of anything but a mistyped root."""
        if head.inside or self.content is None:
            near = spelling.nearest(head.name, [*self.before, *ROOTS], NEAR)
            return not near or (head.inside and head.name in element_names())
        return head.name in self.content

    def _unknown(self, head: Head) -> tuple[str, str]:
        roots = [*self.before, *ROOTS]
        near = spelling.nearest(head.name, [*roots, *(self.content or ())], NEAR) or spelling.nearest(head.name, roots)
        text = f"'{head.name}' is no step of this flow"
        if head.inside or self.content is None:
            return text, f"Did you mean '{near}'? An element of that name stands in backticks: `{head.name}`."
        text += " and no element of a resource" if self.content else ", and HL7 v2 has no elements"
        known = f"Here stand {', '.join(roots)}" + ("." if self.content else ", or a place such as PID-3.1.")
        return text, f"Did you mean '{near}'?" if near else known

    def _place(self, head: Head, at: Place, offset: int) -> Place:
        """The head's own column when it stands on the line its text begins on; else where the text begins."""
        line, column = at
        written = self.lines[line - 1][column - 1 :] if line <= len(self.lines) else ""
        offset += written[:1] in ("'", '"')
        return (line, column + offset) if written[offset:].startswith(head.name) else at
