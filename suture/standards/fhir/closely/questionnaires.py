"""A questionnaire's own rules: what its conditions ask about, and what kinds of answers its items give.

https://hl7.org/fhir/R4/questionnaire.html
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import rows, text
from suture.standards.fhir.closely.rule import Rule, error

# the types of value[x] that answer an item of a type
ANSWERS: dict[str, frozenset[str]] = {
    "boolean": frozenset({"Boolean"}), "decimal": frozenset({"Decimal"}), "integer": frozenset({"Integer"}),
    "date": frozenset({"Date"}), "dateTime": frozenset({"DateTime"}), "time": frozenset({"Time"}),
    "string": frozenset({"String"}), "text": frozenset({"String"}), "url": frozenset({"Uri"}),
    "choice": frozenset({"Coding", "Integer", "Date", "Time", "String", "Reference"}),
    "open-choice": frozenset({"Coding", "Integer", "Date", "Time", "String", "Reference"}),
    "attachment": frozenset({"Attachment"}), "reference": frozenset({"Reference"}), "quantity": frozenset({"Quantity"}),
    "group": frozenset(), "display": frozenset(),
}  # fmt: skip
_LOOSE = {
    "decimal": frozenset({"Integer"}),
    "dateTime": frozenset({"Date"}),
}  # how options and conditions may be written


def items(value: Any) -> Iterator[dict[str, Any]]:
    """All items of a questionnaire, or below one of its items."""
    left = [row for _, row in rows(value, "item")]
    while left:
        one = left.pop()
        yield one
        left += [row for _, row in rows(one, "item")]


def kind(row: dict[str, Any], name: str) -> str:
    """The type of a choice element: `Coding` of answerCoding."""
    return next(
        (key.removeprefix(name) for key in row if key.startswith(name) and key[len(name) : len(name) + 1].isupper()), ""
    )


def questionnaire(node: Node) -> Iterator[Issue]:
    """Every item, with its place."""
    known = {text(one, "linkId"): one for one in items(node.value)}
    left = [(f"{node.path}.item[{n}]", row) for n, row in rows(node.value, "item")][::-1]
    while left:
        place, item = left.pop()
        yield from _conditions(place, item, known)
        yield from _values(place, item)
        left += [(f"{place}.item[{n}]", row) for n, row in rows(item, "item")][::-1]


def _conditions(place: str, item: dict[str, Any], known: dict[str, dict[str, Any]]) -> Iterator[Issue]:
    found = list(rows(item, "enableWhen"))
    if len(found) > 1 and "enableBehavior" not in item:
        mend = "Add enableBehavior: all or any."
        yield error(
            place, "More than one condition, and enableBehavior does not say which must hold.", mend, "required"
        )
    inner = {text(one, "linkId") for one in items(item)} if found else set()
    for number, row in found:
        at, asked = f"{place}.enableWhen[{number}]", text(row, "question")
        if asked not in known:
            yield error(
                f"{at}.question", "The questionnaire has no item of this linkId.", "Name one of its items.", "not-found"
            )
        elif asked in inner or asked == text(item, "linkId"):
            mend = "Ask about an item outside of this one."
            yield error(f"{at}.question", "A condition can't ask about the item itself, nor about one inside it.", mend)
        else:
            yield from _comparable(at, row, text(known[asked], "type"))


def _comparable(at: str, row: dict[str, Any], type: str) -> Iterator[Issue]:
    allowed, given = ANSWERS.get(type), kind(row, "answer")
    if allowed is None or text(row, "operator") == "exists":
        return
    if given and given not in allowed | _LOOSE.get(type, frozenset()):
        what = ", ".join(sorted(f"answer{one}" for one in allowed)) or "none, it has no answers"
        yield error(
            f"{at}.answer", "The question that is asked about has answers of another type.", f"Allowed: {what}."
        )


def _values(place: str, item: dict[str, Any]) -> Iterator[Issue]:
    """Options and first values are of the item's type."""
    type = text(item, "type")
    allowed = ANSWERS.get(type)
    for name in ("answerOption", "initial") if allowed is not None else ():
        for number, row in rows(item, name):
            given = kind(row, "value")
            if allowed and given and given not in allowed | _LOOSE.get(type, frozenset()):
                mend = f"Allowed: {', '.join(sorted(f'value{one}' for one in allowed))}."
                yield error(f"{place}.{name}[{number}].value", f"An item of type {type} has no such answers.", mend)


RULES = (Rule("Questionnaire", questionnaire),)
