"""The R4 tables say what the specification says."""

from __future__ import annotations

import json
import tarfile

import pytest

from scripts import build_r4
from suture.standards.fhir import definitions
from suture.standards.fhir.definitions import RESOURCE_TYPES, search_parameter, type_definition, value_set
from tests import public


def test_there_are_146_resource_types_and_no_abstract_one() -> None:
    assert len(RESOURCE_TYPES) == 146
    assert {"Patient", "Bundle", "Parameters"} <= RESOURCE_TYPES
    assert not {"Resource", "DomainResource", "HumanName"} & RESOURCE_TYPES


def test_a_resource_type_has_inherited_elements_too() -> None:
    patient = type_definition("Patient")
    assert patient is not None
    assert (patient.kind, patient.parent) == ("resource", "DomainResource")
    assert patient.elements["id"].types == ("id",)
    assert patient.elements["contact"].types == ("Patient.contact",)
    assert patient.elements["gender"].binding == ("required", "http://hl7.org/fhir/ValueSet/administrative-gender")
    assert patient.elements["generalPractitioner"].targets == ("Organization", "Practitioner", "PractitionerRole")
    assert {i.key for i in patient.invariants} == {"dom-2", "dom-3", "dom-4", "dom-5", "dom-6"}


def test_a_choice_has_one_key_a_type() -> None:
    observation = type_definition("Observation")
    assert observation is not None
    element, kind = observation.keys["valueQuantity"]
    assert (element.path, element.name, element.choice, kind) == ("Observation.value", "value", True, "Quantity")
    assert "value" not in observation.keys


def test_a_backbone_is_a_type_and_a_content_reference_leads_to_it() -> None:
    item = type_definition("Questionnaire.item")
    assert item is not None
    assert (item.kind, item.parent) == ("backbone", "BackboneElement")
    assert item.elements["item"].types == ("Questionnaire.item",)
    assert "que-1" in {i.key for i in item.invariants}
    assert "modifierExtension" in item.elements


def test_invariants_are_inherited_and_an_element_may_have_its_own() -> None:
    age, definition = type_definition("Age"), type_definition("ElementDefinition")
    assert age is not None
    assert definition is not None
    assert [i.key for i in age.invariants] == ["ele-1", "qty-3", "age-1"]
    assert [i.key for i in definition.elements["max"].invariants] == ["eld-3"]


def test_every_type_that_an_element_names_is_defined() -> None:
    for name in definitions._rows("types.jsonl").lines:
        definition = type_definition(name)
        assert definition is not None
        assert [k for _, k in definition.keys.values() if type_definition(k) is None] == []


def test_unknown_names_are_none_and_are_not_remembered() -> None:
    assert type_definition("Patint") is None
    assert value_set("http://example.org/none") is None
    assert definitions.code_system("http://example.org/none") is None
    assert definitions.search_parameters("Patint") == {}


def test_a_search_parameter_is_cut_to_its_type() -> None:
    patient = search_parameter("Observation", "patient")
    assert patient is not None
    assert (patient.type, patient.expression) == ("reference", "Observation.subject.where(resolve() is Patient)")
    assert search_parameter("Patient", "_lastUpdated") == search_parameter("Resource", "_lastUpdated")
    composite = search_parameter("Observation", "code-value-quantity")
    assert composite is not None
    assert [expression for _, expression in composite.components] == ["code", "value.as(Quantity)"]
    assert search_parameter("Patient", "mothersMaidenName") is None


def test_the_patient_compartment() -> None:
    assert definitions.compartment("Patient")["Observation"] == ("subject", "performer")
    assert "Organization" not in definitions.compartment("Patient")
    assert definitions.compartment("Planet") == {}


def test_value_sets_are_enumerated() -> None:
    genders = {("http://hl7.org/fhir/administrative-gender", c) for c in ("male", "female", "other", "unknown")}
    assert value_set("http://hl7.org/fhir/ValueSet/administrative-gender|4.0.1") == genders
    assert value_set("http://hl7.org/fhir/ValueSet/ucum-units") is None
    gender = definitions.code_system("http://hl7.org/fhir/administrative-gender")
    assert gender is not None
    assert gender["male"] == "Male"


def test_a_code_knows_the_codes_above_it() -> None:
    parents = definitions.code_parents("http://terminology.hl7.org/CodeSystem/v3-ActCode")
    assert parents is not None
    assert parents["AMB"] == ("_ActEncounterCode",)


def test_all_required_bindings_but_four_can_be_checked() -> None:
    bound = {
        element.binding[1]
        for name in definitions._rows("types.jsonl").lines
        for element in type_definition(name).elements.values()  # type: ignore[union-attr]
        if element.binding and element.binding[0] == "required"
    }
    assert {url for url in bound if value_set(url) is None} == {
        "http://hl7.org/fhir/ValueSet/mimetypes",
        "http://hl7.org/fhir/ValueSet/ucum-units",
        "http://hl7.org/fhir/ValueSet/currencies",
        "http://loinc.org/vs/LL379-9",
    }


@pytest.mark.slow
def test_the_committed_tables_are_what_the_script_makes(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(build_r4, "OUT", tmp_path)
    build_r4.main(public.path("fhir/hl7.fhir.r4.core-4.0.1.tgz"))
    for made in tmp_path.iterdir():
        committed = definitions.files("suture.standards.fhir.r4") / made.name
        assert made.read_bytes() == committed.read_bytes(), made.name


@pytest.mark.slow
def test_value_sets_agree_with_the_official_expansions() -> None:
    """What HL7 enumerates we enumerate; we have more only where codes are abstract or retired."""
    compared, more = 0, set()
    with tarfile.open(public.path("fhir/hl7.fhir.r4.expansions-4.0.1.tgz")) as tar:
        for member in tar:
            if not member.name.rpartition("/")[2].startswith("ValueSet-"):
                continue
            official = json.load(tar.extractfile(member))  # type: ignore[arg-type]
            ours = value_set(official["url"])
            if ours is not None:
                compared += 1
                codes = set(flat(official["expansion"].get("contains", [])))
                assert codes <= ours, official["url"]
                more |= {official["url"]} if codes < ours else set()
    assert compared > 900
    assert len(more) == 19


def flat(contains: list[dict]) -> list[tuple[str, str]]:
    found = []
    for row in contains:
        if "code" in row and not row.get("abstract"):
            found.append((row["system"], row["code"]))
        found += flat(row.get("contains", []))
    return found
