"""What may not be seen changes no answer: a narrowed search equals the search in a world where the rest never was."""

from __future__ import annotations

from random import Random

import pytest

from suture.standards.fhir import search
from suture.standards.fhir.definitions import compartment
from suture.standards.fhir.search import Compartment, Condition, Subject
from suture.standards.fhir.search_within import parse_within
from suture.store import search as store_search
from tests.store.search.queries import Maker, readable
from tests.store.search.worlds import Resource, World

SHARED = ("Organization", "Practitioner", "Questionnaire")


class Seen:
    """The part of a world that a rule lets pass."""

    def __init__(self, world: World, rule: search.Rule) -> None:
        self.by_key = {k: r for k, r in world.by_key.items() if _passes(rule(k[0]), r)}

    def resolve(self, type: str, id: str) -> Resource | None:
        return self.by_key.get((type, id))

    def all(self, type: str) -> list[Resource]:
        return [r for (t, _), r in self.by_key.items() if t == type]

    def brute(self, query: search.SearchQuery) -> set[str]:
        return {f"{t}/{i}" for (t, i), r in self.by_key.items() if search.matches(query, r, self)}


def _passes(rule: Condition | None, resource: Resource) -> bool:
    return rule is None or search.holds(rule, Subject(resource))


def patient_rule(patient: str) -> search.Rule:
    """A patient's own: the compartment, what everybody shares, and nothing else."""

    def rule(type: str) -> Condition | None:
        if type in SHARED:
            return None
        own = type == "Patient" or type in compartment("Patient")
        return Compartment((patient,)) if own else search.NOTHING

    return rule


@pytest.mark.parametrize("patient", ["ann", "bob", "cyd"])
@pytest.mark.parametrize("seed", range(3))
def test_the_hidden_is_as_if_it_never_was(people: World, patient: str, seed: int) -> None:
    random = Random(seed)
    rule = patient_rule(patient)
    seen, maker, members = Seen(people, rule), Maker(random, people.by_key), list(people.by_key.values())
    asked = 0
    for _ in range(150):
        resource = random.choice(members)  # often one that may not be seen
        pairs = maker.query(resource)
        if not readable(resource["resourceType"], pairs):
            continue
        query = search.parse(resource["resourceType"], pairs)
        narrowed = search.restrict(query, rule)
        wanted = seen.brute(query)
        assert set(people.pages(narrowed, 50)) == wanted, pairs
        assert store_search.count(people.store.read, narrowed) == len(wanted), pairs
        asked += 1
    assert asked > 100


FORMS = [
    ("Observation", "_list=mine"),
    ("Patient", "_list=mine"),
    ("", "_list=mine"),
    ("Observation", "subject:Patient._list=mine"),
    ("Encounter", "location:below=Location/munich"),
    ("Location", "partof:above=reef"),
    ("QuestionnaireResponse", "questionnaire.title=form"),
    ("Patient", "_has:QuestionnaireResponse:patient:questionnaire.title=form"),
    ("Location", "near=48.14|11.58|5|km"),
    ("", "_type=Condition,Observation&patient=ann"),
    ("", "_type=Condition,Encounter&patient.name=stone"),
    ("Observation", "_sort=code,-status"),
    ("Patient", "_sort=identifier"),
]


@pytest.mark.parametrize("patient", ["ann", "bob", "cyd"])
@pytest.mark.parametrize(("type", "text"), FORMS, ids=[f[1] for f in FORMS])
def test_nor_through_lists_hierarchies_and_canonicals(people: World, patient: str, type: str, text: str) -> None:
    rule = patient_rule(patient)
    query = search.parse(type, [(k, v) for k, _, v in (part.partition("=") for part in text.split("&"))])
    wanted = Seen(people, rule).brute(query)
    narrowed = search.restrict(query, rule)
    assert set(people.pages(narrowed, 2)) == wanted
    assert store_search.count(people.store.read, narrowed) == len(wanted)


@pytest.mark.parametrize("patient", ["ann", "bob", "cyd"])
@pytest.mark.parametrize("owner", ["Patient/ann", "Patient/bob", "Encounter/stay", "Practitioner/dora"])
def test_nor_through_compartments(people: World, patient: str, owner: str) -> None:
    rule = patient_rule(patient)
    query = parse_within(*owner.split("/"), "*", [])
    wanted = Seen(people, rule).brute(query)
    assert set(people.pages(search.restrict(query, rule), 2)) == wanted
    assert people.brute(query) == set(people.pages(query, 5))


def test_over_all_types(people: World) -> None:
    rule = patient_rule("bob")
    seen = Seen(people, rule)
    query = search.parse("", [])
    assert set(people.pages(search.restrict(query, rule))) == seen.brute(query) == {f"{t}/{i}" for t, i in seen.by_key}
