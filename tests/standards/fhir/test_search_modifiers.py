"""Every parameter of a few types with every modifier of R4, and some that R4 has not: what fits is read, all else is refused by name.

https://hl7.org/fhir/R4/search.html#modifiers
"""

from __future__ import annotations

import pytest

from suture.errors import InvalidSearch
from suture.standards.fhir import index, search
from suture.standards.fhir.definitions import search_parameters
from suture.standards.fhir.search_kin import PARENTS
from suture.standards.fhir.search_query import Kin, Match, Missing
from suture.standards.fhir.search_tables import NEVER_MISSING, modifiers

TYPES = ("Patient", "Observation", "Encounter", "RiskAssessment", "ValueSet", "Location", "Condition", "Subscription")
SET = "http://hl7.org/fhir/ValueSet/administrative-gender"
CODE = "http://terminology.hl7.org/CodeSystem/observation-category|laboratory"
R4 = (
    "missing",
    "exact",
    "contains",
    "text",
    "not",
    "above",
    "below",
    "in",
    "not-in",
    "of-type",
    "identifier",
    "Patient",
)
OTHERS = ("iterate", "code-text", "Type", "Nothing", "MISSING", "exact:exact", "frob")
VALUES = {"missing": "true", "of-type": "urn:s|c|v", "identifier": "urn:s|v", "in": SET, "not-in": SET, "Patient": "a"}
HIERARCHIES = {"uri": "http://example.org/a/b", "token": CODE}
# R4's table; tokens by what they hold
TAKEN = {
    "string": {"missing", "exact", "contains"},
    "uri": {"missing", "above", "below"},
    "reference": {"missing", "identifier"},
    "number": {"missing"},
    "date": {"missing"},
    "quantity": {"missing"},
    "special": {"missing"},
    "composite": set(),
    "tokens": {"missing", "text", "not", "above", "below", "in", "not-in"},
    "typed": {"missing", "text", "not", "of-type"},
    "words": {"missing", "text", "not"},
}


def taken(type: str, code: str, kind: str) -> set[str]:
    """What R4 lets this parameter take."""
    if code in NEVER_MISSING:
        return {"not"} if code == "_id" else set()
    if kind == "token":
        rows = {name for number in index.atoms(type, code) for name in index.lists(type)[number]}
        return set().union(*(TAKEN[name] for name in rows & TAKEN.keys()))
    if kind == "reference":
        targets = search_parameters(type)[code].targets
        kin = {"above", "below"} if set(targets) & PARENTS.keys() else set()
        return TAKEN[kind] | kin | ({"Patient"} if "Patient" in targets else set())
    return TAKEN[kind]


def value(type: str, code: str, kind: str, modifier: str) -> str:
    if kind == "reference" and modifier in ("above", "below"):
        return next((f"{t}/a" for t in search_parameters(type)[code].targets if t in PARENTS), "Location/a")
    return VALUES.get(modifier) or (HIERARCHIES.get(kind, "x") if modifier in ("above", "below") else "x")


@pytest.mark.parametrize("type", TYPES)
def test_every_parameter_with_every_modifier(type: str) -> None:
    for code, kind in search.searchable(type).items():
        fits = taken(type, code, kind)
        for modifier in (*R4, *OTHERS):
            pair = (f"{code}:{modifier}", value(type, code, kind, modifier))
            if modifier in fits:
                (condition,) = search.parse(type, [pair]).conditions
                assert isinstance(condition, Match | Missing | Kin), pair
                continue
            for lenient in (False, True):  # what is asked is never passed over
                with pytest.raises(InvalidSearch) as refused:
                    search.parse(type, [pair], lenient=lenient)
                error = refused.value
                assert (error.status, error.where) == (400, pair[0]), pair
                assert f":{modifier}" in str(error), (pair, str(error))
                assert code in str(error), (pair, str(error))


def test_the_kinds_are_all_there() -> None:
    kinds = {kind for type in TYPES for kind in search.searchable(type).values()}
    assert kinds | {"tokens", "typed", "words"} == TAKEN.keys() | {"token"}


def test_a_refusal_says_what_is_taken() -> None:
    for type, key, told in (
        ("Observation", "code-value-quantity:missing", "a composite can't be asked for with :missing"),
        ("Observation", "code-value-quantity:exact", "It takes no modifier."),
        (
            "Observation",
            "code:of-type",
            "the modifier :of-type is not supported for code. Supported: :missing, :not, :in",
        ),
        ("Patient", "identifier:in", "not supported for identifier. Supported: :missing, :not, :of-type, :text."),
        ("Patient", "_id:in", "the modifier :in is not supported for _id. Supported: :not."),
        ("Patient", "birthdate:not", "not supported for a date parameter. Supported: :missing."),
        ("Observation", "subject:not", "Supported: :missing, :identifier, :above, :below, :Type."),
    ):
        with pytest.raises(InvalidSearch) as refused:
            search.parse(type, [(key, "true" if key.endswith("missing") else "x")])
        assert told in str(refused.value)


def test_an_include_takes_iterate_alone() -> None:
    assert search.parse("Observation", [("_include:iterate", "Observation:subject")]).includes
    for modifier in (*R4, "frob"):
        with pytest.raises(InvalidSearch, match=f"^_include:{modifier}: no such modifier. Only :iterate.$"):
            search.parse("Observation", [(f"_include:{modifier}", "Observation:subject")])


def test_over_several_types_what_all_of_them_take() -> None:
    parameter = search_parameters("Condition")["code"]
    assert modifiers(("Condition", "Observation"), parameter) == modifiers(("Condition",), parameter)
    pairs = [("_type", "Condition,Observation"), ("code:in", SET), ("_tag:not", "x"), ("_id:not", "a")]
    assert len(search.parse("", pairs).conditions) == 3
    for key in ("code:of-type", "_tag:of-type", "_id:text", "_lastUpdated:missing", "_profile:contains"):
        with pytest.raises(InvalidSearch, match=key):
            search.parse("", [("_type", "Condition,Observation"), (key, "x")])


@pytest.mark.parametrize(
    "name", ["_text", "_content", "_list", "_filter", "_sort", "_count", "_elements", "_summary", "_total"]
)
def test_what_is_no_plain_parameter_takes_none(name: str) -> None:
    for modifier in (*R4, *OTHERS):
        with pytest.raises(InvalidSearch) as refused:
            search.parse("Patient", [(f"{name}:{modifier}", "x")], lenient=True)
        assert str(refused.value) == f"{name}:{modifier}: {name} takes no modifier. Write {name}=…."
