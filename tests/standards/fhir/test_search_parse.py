"""What search.parse reads, what it refuses and how it says so; a query written as a URL is read back as the same query."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.search import Branch, Chain, Has, Include, Match, Missing, Sort, Target, Text, Token

DAY = 86_400_000_000


def one(type: str, key: str, text: str) -> search.Condition:
    (condition,) = search.parse(type, [(key, text)]).conditions
    return condition


def values(type: str, key: str, text: str) -> tuple[search.Value, ...]:
    condition = one(type, key, text)
    assert isinstance(condition, Match)
    return condition.values


def test_tokens() -> None:
    assert values("Observation", "code", r"a,s|b,|c,s|,a\,b\|c") == (
        Token(None, "a"),
        Token("s", "b"),
        Token("", "c"),
        Token("s", None),
        Token(None, "a,b|c"),
    )


def test_dates_are_ranges() -> None:
    (value,) = values("Patient", "birthdate", "ge1970-01-02")
    assert value == search.Moment("ge", "1970-01-02", DAY, 2 * DAY)
    (value,) = values("Observation", "date", "1970-01-01T01:00:00+01:00")
    assert value == search.Moment("eq", "1970-01-01T01:00:00+01:00", 0, 1_000_000)


@pytest.mark.parametrize(("text", "low", "high"), [("100", 99.5, 100.5), ("100.00", 99.995, 100.005), ("1e2", 95, 105)])
def test_numbers_are_as_precise_as_they_are_written(text: str, low: float, high: float) -> None:
    (value,) = values("RiskAssessment", "probability", text)
    assert isinstance(value, search.Number)
    assert (value.low, value.high) == (low, high)


def test_quantities() -> None:
    (value,) = values("Observation", "value-quantity", "le5.4|http://unitsofmeasure.org|mg")
    assert isinstance(value, search.Number)
    assert (value.prefix, value.text, value.system, value.unit) == ("le", "5.4", "http://unitsofmeasure.org", "mg")


def test_references() -> None:
    found = search.parse(
        "Observation",
        [("subject", "1,Patient/2,https://here/fhir/Patient/3,https://there/fhir/Patient/4,urn:uuid:5")],
        base_url="https://here/fhir/",
    )
    assert found.conditions[0].values == (  # type: ignore[union-attr]
        Target("", "1"),
        Target("Patient", "2"),
        Target("Patient", "3"),
        Target("", "", "https://there/fhir/Patient/4"),
        Target("", "", "urn:uuid:5"),
    )
    assert values("Observation", "subject:Patient", "7") == (Target("Patient", "7"),)


def test_composites() -> None:
    (value,) = values("Observation", "code-value-quantity", "http://loinc.org|8480-6$gt140")
    assert isinstance(value, search.Parts)
    assert value.parts[0] == Token("http://loinc.org", "8480-6")
    assert isinstance(value.parts[1], search.Number)


def test_chains_and_reverse_chains() -> None:
    name = Match("name", "string", (Text("x"),))
    assert one("Observation", "subject:Patient.name", "x") == Chain("subject", (Branch("Patient", (name,)),), True)
    assert one("Observation", "subject.name", "x") == Chain(
        "subject", (Branch("Patient", (name,)), Branch("Location", (name,)))
    )
    assert one("Patient", "_has:Observation:patient:code", "x") == Has(
        "Observation", "patient", (Match("code", "token", (Token(None, "x"),)),)
    )
    deep = one("Patient", "_has:Observation:patient:encounter.service-provider:Organization.name:exact", "x")
    assert isinstance(deep, Has)


def test_what_shapes_the_results() -> None:
    query = search.parse(
        "Observation",
        [
            ("_sort", "-date,status"),
            ("_count", "10"),
            ("_total", "accurate"),
            ("_include", "Observation:subject:Patient"),
            ("_revinclude:iterate", "Provenance:target"),
            ("_elements", "id,status"),
            ("_format", "json"),
        ],
    )
    assert query.sort == (Sort("date", True), Sort("status"))
    assert (query.count, query.total, query.elements) == (10, "accurate", ("id", "status"))
    assert query.includes == (
        Include("Observation", "subject", "Patient"),
        Include("Provenance", "target", reverse=True, iterate=True),
    )


def test_missing() -> None:
    assert one("Patient", "gender:missing", "true") == Missing("gender", "token", True)


def test_unknown_parameters_are_refused_or_recorded() -> None:
    with pytest.raises(InvalidSearch, match=r"nmae: Patient has no such search parameter. Did you mean name"):
        search.parse("Patient", [("nmae", "x")])
    query = search.parse("Patient", [("nmae", "x"), ("name", "y")], lenient=True)
    assert query.unknown == ("nmae",)
    assert len(query.conditions) == 1


@pytest.mark.parametrize(
    ("type", "key", "text", "said"),
    [
        ("Patient", "birthdate", "1990-13-01", "birthdate: not a date"),
        ("Patient", "birthdate", "xx1990", "birthdate: not a date"),
        ("Patient", "birthdate", "1990-1-1", "birthdate: not a date"),
        ("Observation", "date", "2020-01-01T10:00:00 02:00", "%2B"),
        ("Observation", "value-quantity", "5.4|mg", "not a quantity"),
        ("Observation", "value-quantity", "five", "not a number"),
        ("Observation", "code", "a|b|c", "not a token"),
        ("Observation", "code", "a,,b", "a value is empty"),
        ("Observation", "code", "", "a value is empty"),
        ("Observation", "code:exact", "a", "modifier :exact is not supported for a token parameter"),
        ("Observation", "code:contains", "a", "Supported: :missing, :not"),
        ("Observation", "subject", "no/way", "not a reference"),
        ("Observation", "subject:Practitioner", "1", "subject never leads to a Practitioner"),
        ("Observation", "code-value-quantity", "a$b$c", "a composite of 2 values is needed"),
        ("Observation", "code:in", "http://example.org/unknown", "can't be enumerated"),
        ("Observation", "status.name", "x", "is no reference"),
        ("Observation", "focus.name", "x", "may lead to too many types"),
        ("Patient", "_has:Observation:code:code", "x", "is no reference to a Patient"),
        ("Questionnaire", "_has:QuestionnaireResponse:questionnaire:status", "completed", "is a canonical URL"),
        ("Patient", "_has:Observation", "x", "not a reverse chain"),
        ("Patient", "gender:missing", "maybe", ":missing is true or false"),
        ("Patient", "_sort", "nothing", "can't be sorted"),
        ("Patient", "_count", "-1", "_count: not a whole number"),
        ("Bundle", "composition", "x", "not supported"),
        ("Location", "near", "1|2|3|kg", "not a length"),
        ("Location", "near", "91|2", "no place on the earth"),
        ("Location", "near", "x", "not a place"),
        ("Location", "_sort", "near", "sorted by a special"),
        ("Encounter", "subject:below", "x", "what subject leads to has no hierarchy"),
        ("Encounter", "location:below", "http://x/1", "a resource of this server is needed"),
        ("Patient", "_filter", "x", "_filter: an operator is expected at character 2"),
        ("Patient", "_contained", "true", "contained resources are not searched"),
        ("Bundle", "_include", "Bundle:message", "can't be followed"),
        ("Patient", "_include", "Patient:name", "has no such reference parameter"),
        ("Patient", "name", "x" * 3000, "too long"),
        ("Patient", "name", ",".join("abc" for _ in range(600)), "more than 50 values"),
        ("Patient", "name", "a\x00", "no text can have"),
    ],
)
def test_wrong_values_name_the_parameter(type: str, key: str, text: str, said: str) -> None:
    with pytest.raises(InvalidSearch) as caught:
        search.parse(type, [(key, text)])
    assert said in str(caught.value)
    assert len(text) < 2 or text not in str(caught.value), "what was searched for may be personal"


def test_chains_end_somewhere() -> None:
    with pytest.raises(InvalidSearch, match="more than 4 links"):
        search.parse("Observation", [(".".join(["has-member:Observation"] * 6) + ".code", "x")])


# --- round trip

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=12)
ids = st.from_regex(r"[A-Za-z0-9\-.]{1,12}", fullmatch=True)
prefixes = st.sampled_from(["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"])
dates = st.one_of(
    st.dates().map(str), st.datetimes().map(lambda d: d.isoformat(timespec="seconds") + "Z"), st.just("2020")
)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-1000, max_value=1000).map(str)


def escape(text: str) -> str:
    return "".join("\\" + c if c in ",|$\\" else c for c in text)


token_texts = st.one_of(words.map(escape), st.tuples(words, words).map(lambda p: f"{escape(p[0])}|{escape(p[1])}"))
pairs = st.one_of(
    st.tuples(st.sampled_from(["code", "code:not", "status", "subject:Patient.identifier", "_tag"]), token_texts),
    st.tuples(
        st.sampled_from(["subject.name", "subject:Patient.name:exact", "value-string"]),
        words.map("x{}".format).map(escape),
    ),
    st.tuples(st.just("date"), st.tuples(prefixes, dates).map("".join)),
    st.tuples(st.just("value-quantity"), st.tuples(prefixes, numbers, st.just("||"), words.map(escape)).map("".join)),
    st.tuples(st.just("subject"), st.lists(ids, min_size=1, max_size=3).map(",".join)),
    st.tuples(st.just("code-value-quantity"), st.tuples(token_texts, numbers).map("$".join)),
    st.tuples(st.just("_has:Provenance:target:recorded"), dates),
    st.tuples(st.sampled_from(["encounter:missing", "code:missing"]), st.sampled_from(["true", "false"])),
    st.tuples(st.just("_sort"), st.sampled_from(["date", "-date,status", "_id"])),
    st.tuples(st.sampled_from(["_include", "_include:iterate"]), st.just("Observation:subject")),
)


@given(st.lists(pairs, max_size=6))
@settings(max_examples=300, deadline=None)
def test_a_url_is_read_back_as_the_same_query(given_pairs: list[tuple[str, str]]) -> None:
    query = search.parse("Observation", given_pairs)
    assert search.parse("Observation", list(search.pairs(query))) == query
    assert search.url(query).isascii()


noise = st.text(max_size=40)


@given(
    st.sampled_from(sorted(RESOURCE_TYPES)),
    st.lists(st.tuples(st.one_of(noise, pairs.map(lambda p: p[0])), noise), max_size=3),
    st.booleans(),
)
@settings(max_examples=500, deadline=None)
def test_no_input_raises_anything_but_invalid_search(
    type: str, given_pairs: list[tuple[str, str]], lenient: bool
) -> None:
    try:
        query = search.parse(type, given_pairs, lenient=lenient)
    except InvalidSearch:
        return
    search.url(query)


def test_restrict_reaches_every_level() -> None:
    query = search.parse(
        "Observation", [("subject:Patient.name", "x"), ("_has:Provenance:target:agent:Practitioner.name", "y")]
    )
    rule = {
        "Observation": search.Compartment(("1",)),
        "Patient": search.Compartment(("1",)),
        "Provenance": search.NOTHING,
    }
    narrowed = search.restrict(query, rule.get)
    chain, has, top = narrowed.conditions
    assert isinstance(chain, Chain)
    assert isinstance(has, Has)
    assert top == search.Compartment(("1",))
    assert chain.branches[0].conditions[-1] == search.Compartment(("1",))
    assert has.conditions[-1] == search.NOTHING


def test_restrict_over_several_types_leaves_out_what_may_not_be_seen() -> None:
    query = search.parse("", [("_lastUpdated", "gt2020"), ("_type", "Patient,Observation")])
    narrowed = search.restrict(query, lambda type: search.NOTHING if type == "Patient" else None)
    assert narrowed.rules == (Branch("Observation", ()),)
