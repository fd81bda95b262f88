"""Searches over our small world with answers written by hand; brute force in memory must give the same."""

from __future__ import annotations

import pytest

from suture.errors import InvalidSearch
from suture.standards.fhir import search
from tests.store.search.worlds import World

EXPECTED = [
    # strings: case, accents, beginnings
    ("Patient", "name=stone", "bob cyd"),
    ("Patient", "name=muller", "ann"),
    ("Patient", "name=MÜLLER-S", "ann"),
    ("Patient", "family=zoe", ""),
    ("Patient", "given=zoe", "ann"),
    ("Patient", "name:exact=Stone", "bob"),
    ("Patient", "name:exact=stone", ""),
    ("Patient", "given:exact=Zoe\u0308", "ann"),  # the same letter in two characters
    ("Patient", "given:exact=Zoe", ""),
    ("Patient", "given=ZOE\u0308", "ann"),
    ("Patient", "name:contains=hill", "cyd"),
    ("Patient", "name=stone,ann", "ann bob cyd"),
    ("Patient", "name=stone&given=c", "cyd"),
    ("Patient", "address=sao", "ann"),
    ("Patient", "address-city=são paulo", "ann"),
    ("Practitioner", "name=agren", "dora"),
    ("Organization", "name=mercy hospital", "mercy"),
    ("Patient", "name=Mull'er Stone", "ann"),  # punctuation is passed over
    ("Patient", "name=müller–stone", "ann"),
    ("Organization", "name=mercy, hosp", "mercy"),
    # tokens
    ("Patient", "gender=male", "bob cyd"),
    ("Patient", "gender=MALE", "bob cyd"),
    ("Patient", "gender=http://hl7.org/fhir/administrative-gender|male", "bob cyd"),
    ("Patient", "gender:not=male", "ann nobody"),
    ("Patient", "gender:missing=true", "nobody"),
    ("Patient", "gender:missing=false", "ann bob cyd"),
    ("Patient", "identifier=urn:mrn|AbC1", "ann"),
    ("Patient", "identifier=abc1", "bob"),
    ("Patient", "identifier=urn:mrn|", "ann bob"),
    ("Patient", "identifier=|AbC1", ""),
    ("Patient", "identifier:of-type=http://terminology.hl7.org/CodeSystem/v2-0203|MR|AbC1", "ann"),
    ("Patient", "phone=555-0001", "ann"),
    ("Patient", "email=555-0001", ""),
    ("Patient", "email=ann@example.org", "ann"),
    ("Patient", "telecom=555-0001", "ann"),
    ("Patient", "deceased=true", "cyd"),
    ("Patient", "deceased=false", "ann bob nobody"),
    ("Patient", "active=true", "ann"),
    ("Patient", "_tag=urn:tags|vip", "ann"),
    ("Patient", "_id=ann,bob,unknown", "ann bob"),
    ("Condition", "code:missing=true", "span"),
    ("Condition", "code:in=http://hl7.org/fhir/ValueSet/administrative-gender", ""),
    ("Patient", "gender:in=http://hl7.org/fhir/ValueSet/administrative-gender", "ann bob cyd"),
    ("Patient", "gender:not-in=http://hl7.org/fhir/ValueSet/administrative-gender", "nobody"),
    ("Condition", "code:text=FLU", "flu"),
    ("Condition", "code:text=some&patient=bob", "old"),
    ("Condition", "code:text=6142004", ""),
    ("Observation", "value-concept:text=every day,x", "s1"),
    ("Observation", "subject:Patient.identifier:text=x", ""),
    ("Observation", "status=final,amended&code=29463-7", "w1 w2 w3 x1 f1"),
    ("Observation", "code=http://loinc.org|&status=amended", "w3"),
    # dates
    ("Patient", "birthdate=1980", "ann bob"),
    ("Patient", "birthdate=1980-02-03", "ann"),
    ("Patient", "birthdate=ne1980", "cyd"),
    ("Patient", "birthdate=gt1980-02-03", "bob cyd"),
    ("Patient", "birthdate=ge1980-02-04", "bob cyd"),
    ("Patient", "birthdate=lt1980-02-03", "bob"),
    ("Patient", "birthdate=le1980", "ann bob"),
    ("Patient", "birthdate=sa1980", "cyd"),
    ("Patient", "birthdate=eb1999", "ann bob"),
    ("Patient", "birthdate=ap1980-02-04", "ann bob"),
    ("Patient", "birthdate=ge1980-02&birthdate=lt1981", "ann bob"),
    ("Patient", "death-date=2020-05-05", "cyd"),
    ("Observation", "date=2020-01-01", "w1"),
    ("Observation", "date=2020-01-02T01:30:00Z", "w2"),
    ("Observation", "date=ge2020-01-01&code=29463-7&patient=ann", "w1 w2"),
    ("Observation", "date=2019-05-05T10:11:12.345Z", "s1"),
    ("Encounter", "date=2019-03-01", ""),
    ("Encounter", "date=ge2019-03-01", "stay visit"),
    ("Encounter", "date=ap2019-03-01", "stay"),
    ("Encounter", "date=gt2030", "visit"),
    ("Encounter", "date=lt2019-01-02", "stay"),
    ("Condition", "onset-date=eb2020", "flu span"),
    # numbers and quantities
    ("Observation", "value-quantity=72.5", "w1"),
    ("Observation", "value-quantity=72", ""),
    ("Observation", "value-quantity=73|http://unitsofmeasure.org|kg", "w1 w2"),
    ("Observation", "value-quantity=gt72||kg", "w1 w2 w3"),
    ("Observation", "value-quantity=ge180||cm", "h1"),
    ("Observation", "value-quantity=le180|http://unitsofmeasure.org|cm", ""),
    ("Observation", "value-quantity=lt50", "w3 t1"),
    ("Observation", "value-quantity=ap70||kg", "w1 w2 w3"),
    ("Observation", "value-quantity=gt9||mV", "t1"),
    ("Observation", "value-quantity=72500|http://unitsofmeasure.org|g", "w1"),
    ("Observation", "value-quantity=gt159|http://unitsofmeasure.org|[lb_av]", "w1 w2 w3"),
    ("Observation", "value-quantity=gt161||[lb_av]", ""),
    ("Observation", "value-quantity=gt1|http://unitsofmeasure.org|cm", ""),
    ("Observation", "component-code-value-quantity=8480-6$gt19|http://unitsofmeasure.org|kPa", "p1"),
    ("Encounter", "length=120|http://unitsofmeasure.org|h", "stay"),
    ("Encounter", "length=5||d", "stay"),
    ("Condition", "onset-age=ge25", "old span"),
    ("RiskAssessment", "probability=0.25", "risk"),
    ("RiskAssessment", "probability=gt0.5", ""),
    ("Invoice", "totalgross=12.5|urn:iso:std:iso:4217|EUR", "bill"),
    # references
    ("Observation", "patient=cyd", "s1 n1"),
    ("Observation", "patient=Patient/cyd", "s1 n1"),
    ("Observation", "subject=Group/cohort", "x1"),
    ("Observation", "subject:Group=cohort", "x1"),
    ("Observation", "subject=cohort", "x1"),
    ("Observation", "subject=http://elsewhere.example/fhir/Patient/ann", "f1"),
    ("Observation", "patient:missing=true", "x1"),
    ("Observation", "performer=Patient/bob", "t1"),
    ("DocumentReference", "subject:identifier=urn:mrn|AbC1", "doc1"),
    ("MedicationRequest", "medication:missing=false", "rx"),
    ("QuestionnaireResponse", "questionnaire=http://example.org/fhir/Questionnaire/form", "answer"),
    ("QuestionnaireResponse", "questionnaire=http://example.org/fhir/Questionnaire/form|2.0", "answer"),
    ("QuestionnaireResponse", "questionnaire=http://example.org/fhir/Questionnaire/form|1.0", ""),
    # uris
    ("Patient", "_profile=http://example.org/p/one", "ann"),
    ("Patient", "_source=urn:feed:a", "nobody"),
    ("Questionnaire", "url:below=http://example.org/fhir", "form"),
    ("Questionnaire", "url:below=http://example.org/fh", ""),
    ("Questionnaire", "url:above=http://example.org/fhir/Questionnaire/form/part", "form"),
    # composites: the parts must stand together
    ("Observation", "component-code-value-quantity=8480-6$gt140", "p1"),
    ("Observation", "component-code-value-quantity=8462-4$gt140", ""),
    ("Observation", "combo-code-value-quantity=http://loinc.org|8462-4$ge95||mmHg", "p2"),
    ("Observation", "combo-code-value-quantity=29463-7$73.0", "w2"),
    ("Observation", "code-value-concept=72166-2$449868002", "s1"),
    ("Observation", "code-value-string=11488-4$uberall", "n1"),
    ("Observation", "code-value-string=72166-2$uberall", ""),
    ("Observation", "code-value-date=8665-2$2016-12", "d1"),
    ("Group", "characteristic-value=a$true", "cohort"),
    ("Group", "characteristic-value=b$true", ""),
    ("DocumentReference", "relationship=replaces$DocumentReference/doc1", "doc2"),
    ("MolecularSequence", "chromosome-variant-coordinate=1$lt4$gt4", "dna"),
    ("MolecularSequence", "chromosome-variant-coordinate=1$3$9", ""),
    ("Questionnaire", "context-type-quantity=age$ge20", "form"),
    # places
    ("Location", "near=48.14|11.58|5|km", "munich"),
    ("Location", "near=48.14|11.58", "munich"),
    ("Location", "near=48.14|11.58|0.1", ""),
    ("Location", "near=48.14|11.58|100|m", ""),
    ("Location", "near=48.0|11.9|20|[mi_i]", "munich"),
    ("Location", "near=-16.8|-179.99|5|km", "fiji"),
    ("Location", "near=89.9|170|20|km", "pole"),
    ("Location", "near=48|48.01|1|km", "equal"),
    ("Location", "near=0|0|30000|km", "munich fiji pole equal"),
    ("Location", "near=-16.8|179|1|km,48.14|11.58|1|km", "munich"),
    ("Location", "near:missing=true", "reef"),
    ("Encounter", "location.near=48.14|11.58|5|km", ""),
    # what stands in lists
    ("Observation", "_list=mine", "w1"),
    ("Patient", "_list=List/mine,other", "bob"),
    ("Encounter", "patient._list=mine", "visit"),
    ("Condition", "_list=mine", ""),
    # through canonicals
    ("QuestionnaireResponse", "questionnaire.title=form", "answer"),
    ("QuestionnaireResponse", "questionnaire:Questionnaire.title=form", "answer"),
    ("QuestionnaireResponse", "questionnaire.title=other", ""),
    ("QuestionnaireResponse", "questionnaire.version=2.0&patient=ann", "answer"),
    ("Patient", "_has:QuestionnaireResponse:patient:questionnaire.title=form", "ann"),
    # up and down a hierarchy
    ("Encounter", "location=Location/munich", ""),
    ("Encounter", "location:below=Location/munich", "stay"),
    ("Encounter", "location:below=fiji", "stay"),
    ("Encounter", "location:below=reef", "stay"),
    ("Encounter", "location:below=pole", ""),
    ("Encounter", "location:above=munich", ""),
    ("Location", "partof:below=munich", "fiji reef"),
    ("Location", "partof:above=reef", "fiji reef"),
    ("Organization", "partof:below=group", "mercy"),
    ("Encounter", "service-provider:below=Organization/group", "stay"),
    ("Condition", "encounter.location:below=munich", "flu"),
    ("Location", "_has:Encounter:location:service-provider:below=group", "reef"),
    # several types at once
    ("", "_type=Condition,Encounter&patient=bob", "visit old span"),
    ("", "_type=Condition,Encounter&patient.name=stone", "visit old span"),
    ("", "_type=Patient,Practitioner&name=a", "ann dora"),
    ("", "_type=Patient,Practitioner&name:exact=Dora", "dora"),
    ("", "_type=Condition,Observation&code=29463-7,6142004&subject:Patient=ann", "flu w1 w2"),
    ("", "_type=Condition,Observation&encounter:missing=false", "flu w1"),
    # chains and reverse chains
    ("Observation", "subject:Patient.name=stone", "w3 h1 s1 n1 p2"),
    ("Observation", "patient.birthdate=1980&code=85354-9", "p1 p2"),
    ("Observation", "subject:Patient.general-practitioner:Practitioner.name=agren&date=ge2020-06", "p1"),
    ("Observation", "encounter.service-provider.name=mercy", "w1"),
    ("Observation", "encounter.service-provider.partof.name=health", "w1"),
    ("Patient", "_has:Observation:patient:code=8302-2", "bob"),
    ("Patient", "_has:Observation:patient:code=8302-2&gender=female", ""),
    ("Patient", "_has:Observation:patient:_has:Provenance:target:agent:Practitioner.name=agren", "ann"),
    ("Practitioner", "_has:Patient:general-practitioner:_id=ann", "dora"),
    ("Patient", "_has:Observation:patient:code:not=29463-7&_has:Encounter:patient:status=in-progress", "bob"),
    ("Patient", "link=Patient/bob", "cyd"),
]


@pytest.mark.parametrize(("type", "query", "expected"), EXPECTED, ids=lambda v: str(v)[:60])
def test_expected(people: World, type: str, query: str, expected: str) -> None:
    pairs = [(key, text) for key, _, text in (part.partition("=") for part in query.split("&"))]
    found = people.check(type, pairs)
    assert {f.partition("/")[2] for f in found} == set(expected.split())


def test_several_types_are_sorted_by_what_they_share(people: World) -> None:
    found = people.check("", [("_type", "Condition,Encounter"), ("_sort", "identifier,-patient")])
    assert len(found) == 5
    assert people.check("", [("_type", "Patient,Practitioner"), ("_sort", "-family"), ("family:missing", "false")]) == [
        "Patient/cyd", "Patient/bob", "Patient/ann", "Practitioner/dora"
    ]  # fmt: skip
    with pytest.raises(InvalidSearch, match="can't be sorted by that"):
        search.parse("", [("_type", "Condition,Patient"), ("_sort", "birthdate")])
