"""Questionnaires and the responses to them."""

from __future__ import annotations

from typing import Any

import pytest

from suture.standards.fhir.closely import Around, look
from tests.standards.fhir.closely.looking import errors

URL = "http://here/Questionnaire/q"


def asking(*items: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Questionnaire", "url": URL, "item": list(items)}


def answered(*items: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {"resourceType": "QuestionnaireResponse", "questionnaire": URL, "status": status, "item": list(items)}


def found(questionnaire: dict[str, Any], response: dict[str, Any], members: frozenset[str] = frozenset()) -> list[Any]:
    known = {("Questionnaire", URL): questionnaire}
    return errors(response, Around(lambda type, url: known.get((type, url)), lambda system, code, url: code in members))


SMOKES = {"linkId": "smokes", "type": "boolean", "required": True}
HOW_MANY = {
    "linkId": "many", "type": "integer", "required": True,
    "enableWhen": [{"question": "smokes", "operator": "=", "answerBoolean": True}],
}  # fmt: skip
YES = {"linkId": "smokes", "answer": [{"valueBoolean": True}]}
NO = {"linkId": "smokes", "answer": [{"valueBoolean": False}]}
TEN = {"linkId": "many", "answer": [{"valueInteger": 10}]}


@pytest.mark.parametrize(
    ("row", "place", "said"),
    [
        ({"question": "nobody", "operator": "exists", "answerBoolean": True}, "question", "no item of this linkId"),
        ({"question": "b", "operator": "exists", "answerBoolean": True}, "question", "can't ask about the item itself"),
        ({"question": "c", "operator": "exists", "answerBoolean": True}, "question", "can't ask about the item itself"),
        ({"question": "a", "operator": "=", "answerString": "x"}, "answer", "has answers of another type"),
    ],
)
def test_a_condition_that_can_not_be(row: dict[str, Any], place: str, said: str) -> None:
    inner = {"linkId": "c", "type": "string"}
    wrong = asking(
        {"linkId": "a", "type": "integer"}, {"linkId": "b", "type": "group", "enableWhen": [row], "item": [inner]}
    )
    ((at, text),) = errors(wrong)
    assert at == f"Questionnaire.item[1].enableWhen[0].{place}"
    assert said in text


def test_two_conditions_say_how_they_go_together_and_options_have_the_items_type() -> None:
    rows = [{"question": "a", "operator": "exists", "answerBoolean": one} for one in (True, False)]
    wrong = asking(
        {"linkId": "a", "type": "integer", "answerOption": [{"valueString": "x"}]},
        {"linkId": "b", "type": "string", "enableWhen": rows},
    )
    assert [at for at, _ in errors(wrong)] == ["Questionnaire.item[0].answerOption[0].value", "Questionnaire.item[1]"]
    assert errors(asking(SMOKES, HOW_MANY)) == []


@pytest.mark.parametrize(
    ("items", "place", "said"),
    [
        ([YES], "", "An item that is required has no answer."),
        ([NO, TEN], ".item[1]", "The item is answered, but the other answers do not enable it."),
        ([YES, TEN, {"linkId": "x"}], ".item[2].linkId", "The questionnaire has no item of this linkId here."),
        ([YES, TEN, TEN], ".item[2]", "The item is there more than once."),
        ([YES, {"linkId": "many", "answer": [{"valueString": "ten"}]}], ".item[1].answer[0].value", "An item of type integer has no such answers."),
        ([YES, {"linkId": "many", "answer": [*TEN["answer"], *TEN["answer"]]}], ".item[1].answer", "There is more than one answer, but the item does not repeat."),  # type: ignore[misc]
        ([YES, {**TEN, "item": [YES]}], ".item[1].item", "Items below a question stand in its answer."),
    ],
)  # fmt: skip
def test_a_response_that_does_not_answer_its_questionnaire(items: list[Any], place: str, said: str) -> None:
    assert (f"QuestionnaireResponse{place}", said) in found(asking(SMOKES, HOW_MANY), answered(*items))


@pytest.mark.parametrize("items", [[NO], [YES, TEN]])
def test_a_response_that_does(items: list[Any]) -> None:
    assert found(asking(SMOKES, HOW_MANY), answered(*items)) == []


def test_what_is_in_progress_may_miss_answers_but_not_give_wrong_ones() -> None:
    assert found(asking(SMOKES, HOW_MANY), answered(YES, status="in-progress")) == []
    assert found(asking(SMOKES, HOW_MANY), answered(NO, TEN, status="in-progress")) != []


def test_choices() -> None:
    red = {"system": "urn:colours", "code": "red"}
    closed = {"linkId": "c", "type": "choice", "answerOption": [{"valueCoding": red}]}
    other = {"linkId": "c", "answer": [{"valueCoding": {**red, "code": "blue"}}]}
    said = ("QuestionnaireResponse.item[0].answer[0].value", "The answer is none of those that may be chosen.")
    assert found(asking(closed), answered(other)) == [said]
    assert found(asking(closed), answered({"linkId": "c", "answer": [{"valueCoding": red}]})) == []
    assert found(asking({**closed, "type": "open-choice"}), answered(other)) == []
    of_set = {"linkId": "c", "type": "choice", "answerValueSet": "http://here/ValueSet/v"}
    assert found(asking(of_set), answered(other), frozenset({"blue"})) == []
    assert found(asking(of_set), answered(other), frozenset({"red"})) == [said]


def test_groups_are_looked_into_and_may_repeat() -> None:
    group = {"linkId": "g", "type": "group", "repeats": True, "item": [SMOKES, HOW_MANY]}
    both = answered({"linkId": "g", "item": [YES, TEN]}, {"linkId": "g", "item": [NO]})
    assert found(asking(group), both) == []
    wrong = answered({"linkId": "g", "item": [NO, TEN]}, {"linkId": "g", "item": [YES, TEN]})
    assert [at for at, _ in found(asking(group), wrong)] == ["QuestionnaireResponse.item[0].item[1]"]


def test_the_questionnaire_may_be_contained_and_one_that_is_not_here_is_a_note() -> None:
    inside = {**asking(SMOKES), "id": "q"}
    response = {**answered(), "questionnaire": "#q", "contained": [inside]}
    assert ("QuestionnaireResponse", "An item that is required has no answer.") in errors(response)
    (note,) = look(answered(YES))
    assert (note.severity, note.text) == ("information", "The questionnaire is not here.")


def test_thousands_of_answers_to_one_question_are_not_compared_with_thousands_of_conditions() -> None:
    many = {"linkId": "smokes", "answer": [{"valueBoolean": True}] * 3000}
    later = [{**HOW_MANY, "linkId": f"many{n}", "required": False} for n in range(3000)]
    given = [{"linkId": f"many{n}", "answer": [{"valueInteger": 1}]} for n in range(3000)]
    repeated = asking({**SMOKES, "repeats": True}, *later)
    assert found(repeated, answered(many, *given)) == []
