"""A QuestionnaireResponse against its Questionnaire: items, nesting, answers, options, conditions.

The questionnaire is contained, in the same Bundle, or known outside.
https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from suture.errors import Issue
from suture.standards.fhir.closely.conditions import DEEPEST, Given, enabled
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.questionnaires import ANSWERS, kind
from suture.standards.fhir.closely.rows import extensions, rows, text
from suture.standards.fhir.closely.rule import Rule, error, warning
from suture.standards.fhir.patch_json import equal
from suture.standards.fhir.profiles.values import member

Item = dict[str, Any]
DONE = frozenset({"completed", "amended"})  # what is in progress may miss answers
_OCCURS = "http://hl7.org/fhir/StructureDefinition/questionnaire-{}Occurs"


def response(node: Node) -> Iterator[Issue]:
    """Looks at a response whose questionnaire can be found."""
    named = text(node.value, "questionnaire")
    found = questionnaire(node, named) if named else None
    if found is not None:
        given = Given().read(node.value)
        yield from _Answered(node, given, text(node.value, "status") in DONE).inside(
            node.path, node.value, found, (id(node.value),)
        )
    elif named:
        mend = "Store it here to have the answers checked."
        yield Issue("information", "not-found", "The questionnaire is not here.", f"{node.path}.questionnaire", mend)


def questionnaire(node: Node, named: str) -> Item | None:
    """The questionnaire that a response answers."""
    if named.startswith("#"):
        inside = (row for _, row in rows(node.value, "contained") if row.get("id") == named[1:])
        return next((row for row in inside if row.get("resourceType") == "Questionnaire"), None)
    plain, _, version = named.partition("|")
    for _, entry in rows(node.whole.resource, "entry"):
        one = entry.get("resource")
        if (
            isinstance(one, dict)
            and one.get("resourceType") == "Questionnaire"
            and one.get("url") == plain
            and version in ("", one.get("version"))
        ):
            return one
    return node.around.definition("Questionnaire", named)


@dataclass(frozen=True, slots=True)
class _Answered:
    """One response: what is asked of every level of it."""

    node: Node
    given: Given
    done: bool

    def inside(self, path: str, within: Item, asked: Item, above: tuple[int, ...]) -> Iterator[Issue]:
        """The items that stand in the response, an item or an answer; `asked`: the questionnaire or its item."""
        known = {text(one, "linkId"): one for _, one in rows(asked, "item")}
        there: dict[str, list[tuple[str, Item]]] = {}
        for number, item in rows(within, "item"):
            there.setdefault(text(item, "linkId"), []).append((f"{path}.item[{number}]", item))
        for link, found in there.items():
            if link not in known:
                mend = "Answer the questionnaire's items where it has them."
                yield error(
                    f"{found[0][0]}.linkId", "The questionnaire has no item of this linkId here.", mend, "not-found"
                )
                continue
            yield from self.items(known[link], found, above)
        for link, one in known.items():
            if link not in there:
                yield from self.missing(path, one, above)

    def missing(self, path: str, asked: Item, above: tuple[int, ...]) -> Iterator[Issue]:
        if (
            self.done
            and asked.get("required") is True
            and asked.get("type") != "display"
            and enabled(asked, self.given, above)
        ):
            mend = "Add an item with its linkId, or leave the response in progress."
            yield error(path, "An item that is required has no answer.", mend, "required")

    def items(self, asked: Item, found: list[tuple[str, Item]], above: tuple[int, ...]) -> Iterator[Issue]:
        """All items of one linkId at one place."""
        group, repeats = asked.get("type") == "group", asked.get("repeats") is True
        if len(found) > 1 and not (group and repeats):
            mend = "Write one item with all answers." if repeats else "It does not repeat: write one item."
            yield error(found[1][0], "The item is there more than once.", mend)
        if enabled(asked, self.given, above) is False and any(_told(item) for _, item in found):
            yield error(found[0][0], "The item is answered, but the other answers do not enable it.", "Remove it.")
            return
        for path, item in found:
            yield from self.one(path, item, asked, above)

    def one(self, path: str, item: Item, asked: Item, above: tuple[int, ...]) -> Iterator[Issue]:
        answers, type = list(rows(item, "answer")), text(asked, "type")
        if answers and type in ("group", "display"):
            yield error(f"{path}.answer", f"An item of type {type} has no answers.", "Remove them.")
            return
        if type == "group":
            if len(above) < DEEPEST:
                yield from self.inside(path, item, asked, (*above, id(item)))
            return
        if list(rows(item, "item")):
            yield error(f"{path}.item", "Items below a question stand in its answer.", "Move them to answer.item.")
        yield from self.number(path, len(answers), asked)
        for number, answer in answers:
            at = f"{path}.answer[{number}]"
            yield from self.answer(at, answer, asked)
            if len(above) < DEEPEST:
                yield from self.inside(at, answer, asked, (*above, id(item), id(answer)))

    def number(self, path: str, number: int, asked: Item) -> Iterator[Issue]:
        least = next((v for v in extensions(asked, _OCCURS.format("min")) if isinstance(v, int)), 0)
        most = next((v for v in extensions(asked, _OCCURS.format("max")) if isinstance(v, int)), None)
        if number > 1 and asked.get("repeats") is not True:
            yield error(f"{path}.answer", "There is more than one answer, but the item does not repeat.", "Keep one.")
        elif most is not None and number > most:
            yield error(
                f"{path}.answer", f"There are {number} answers, at most {most} are allowed.", "Remove what is too much."
            )
        if self.done and not number and asked.get("required") is True:
            yield error(path, "An item that is required has no answer.", "Add it.", "required")
        elif self.done and 0 < number < least:
            yield error(f"{path}.answer", f"There are {number} answers, at least {least} are asked for.", "Add them.")

    def answer(self, path: str, answer: Item, asked: Item) -> Iterator[Issue]:
        type, given = text(asked, "type"), kind(answer, "value")
        allowed = ANSWERS.get(type)
        if not given or allowed is None:
            return
        if given not in allowed:
            mend = f"Allowed: {', '.join(sorted(f'value{one}' for one in allowed))}."
            yield error(f"{path}.value", f"An item of type {type} has no such answers.", mend, "value")
            return
        value, longest = answer[f"value{given}"], asked.get("maxLength")
        if isinstance(value, str) and isinstance(longest, int) and len(value) > longest:
            yield error(f"{path}.value", f"The answer has more than {longest} characters.", "Shorten it.", "too-long")
        if type in ("choice", "open-choice"):
            yield from self.chosen(path, value, given, asked)

    def chosen(self, path: str, value: Any, given: str, asked: Item) -> Iterator[Issue]:
        """One of the options, or of the value set; an open choice may be free text, a code outside is a warning there."""
        free = text(asked, "type") == "open-choice"
        if free and (given == "String" or (isinstance(value, dict) and "code" not in value)):
            return
        if self.listed(value, given, asked) is False:
            say = warning if free else error
            yield say(
                f"{path}.value",
                "The answer is none of those that may be chosen.",
                "Take one of the options.",
                "code-invalid",
            )

    def listed(self, value: Any, given: str, asked: Item) -> bool | None:
        options = [row for _, row in rows(asked, "answerOption")]
        if options:
            return any(_chosen(value, row.get(f"value{given}")) for row in options)
        url = text(asked, "answerValueSet")
        return member(value, url, self.node.around.member_of) if url and not url.startswith("#") else None


def _chosen(value: Any, option: Any) -> bool:
    if isinstance(value, dict) and isinstance(option, dict) and "code" in option:
        return all(value.get(key) == option.get(key) for key in ("system", "code"))
    if isinstance(value, dict) and isinstance(option, dict):
        return all(value.get(key) == option[key] for key in option if key in ("reference", "display"))
    return equal(value, option)


def _told(item: Item) -> bool:
    """Whether it, or something below it, is answered."""
    return any(True for _ in rows(item, "answer")) or any(_told(one) for _, one in rows(item, "item"))


RULES = (Rule("QuestionnaireResponse", response),)
