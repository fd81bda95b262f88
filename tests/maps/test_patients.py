"""Persons over several messages: one Patient, what is absent stays, null deletes, and a merge is never undone."""

from __future__ import annotations

import pytest

from suture.errors import Unmapped
from tests.maps.chart import HOSPITAL, Chart, adt, msh, pid, pv1, run

MRG = f"MRG|200002^^^{HOSPITAL}^MR||||||Rivera^Maya"


def merged() -> Chart:
    chart = Chart()
    chart.send(*adt("A28", pid("100001", "Rivera^Maya", "||||||555-0100^PRN^PH")))
    chart.send(*adt("A28", pid("200002", "Rivera^M")))
    chart.send(msh("ADT^A40^ADT_A39"), "EVN|A40|20261125090000", pid(), MRG)
    return chart


def test_a_person_seen_twice_is_one_patient_and_absent_fields_stay() -> None:
    chart = Chart()
    chart.send(*adt("A04", pid(more="|||1 Elm^^Town^WI||555-0100^PRN^PH"), pv1("O")))
    chart.send(*adt("A08", pid(name="Rivera-Smith^Maya"), pv1("O")))
    patient = chart.one("Patient")
    assert [name["family"] for name in patient["name"]] == ["Rivera-Smith"]
    assert (patient["birthDate"], patient["address"][0]["city"]) == ("1984-09-13", "Town")
    assert patient["telecom"][0]["value"] == "555-0100"


def test_null_deletes_what_is_stored_and_only_that() -> None:
    chart = Chart()
    chart.send(*adt("A28", pid(more="|||1 Elm^^Town^WI||555-0100^PRN^PH|555-0200^WPN^PH")))
    chart.send(*adt("A31", pid(more='|||""||""')))
    patient = chart.one("Patient")
    assert "address" not in patient
    assert [item["use"] for item in patient["telecom"]] == ["work"]


def test_a_merge_keeps_both_patients_and_links_them() -> None:
    chart = merged()
    winner, retired = chart.one("Patient", "100001"), chart.one("Patient", "200002")
    assert retired["active"] is False
    assert [link["type"] for link in winner["link"]] == ["replaces"]
    assert [link["type"] for link in retired["link"]] == ["replaced-by"]
    assert chart.referred(winner["link"][0]["other"])["id"] == retired["id"]
    assert chart.referred(retired["link"][0]["other"])["id"] == winner["id"]
    assert winner["telecom"][0]["value"] == "555-0100"


def test_the_name_of_a_merge_is_used_only_where_none_is_known() -> None:
    chart = merged()
    assert [name["given"] for name in chart.one("Patient", "200002")["name"]] == [["M"]]
    fresh = Chart()
    fresh.send(msh("ADT^A40^ADT_A39"), "EVN|A40|20261125090000", pid(), MRG)
    assert [name["family"] for name in fresh.one("Patient", "200002")["name"]] == ["Rivera"]


def test_an_update_after_a_merge_never_undoes_it() -> None:
    chart = merged()
    chart.send(*adt("A08", pid("200002", "Rivera^Maya^Q"), pv1("O")))
    chart.send(*adt("A31", pid("200002", "Rivera^Maya^Q")))
    retired = chart.one("Patient", "200002")
    assert retired["active"] is False
    assert [link["type"] for link in retired["link"]] == ["replaced-by"]
    assert retired["name"][0]["given"] == ["Maya", "Q"]


def test_a_second_merge_makes_a_chain() -> None:
    chart = merged()
    chart.send(msh("ADT^A40^ADT_A39"), "EVN|A40|20261125090000", pid("300003"), f"MRG|100001^^^{HOSPITAL}^MR")
    middle = chart.one("Patient", "100001")
    assert middle["active"] is False
    assert [link["type"] for link in middle["link"]] == ["replaces", "replaced-by"]


def test_the_same_number_of_two_authorities_is_two_patients() -> None:
    chart = Chart()
    chart.send(*adt("A28", "PID|1||7^^^A&1.2.3&ISO^MR||One^Ann"))
    chart.send(*adt("A28", "PID|1||7^^^B&1.2.4&ISO^MR||Two^Bea"))
    chart.send(*adt("A28", "PID|1||7||Three^Cleo"))
    assert sorted(p["name"][0]["family"] for p in chart.all("Patient")) == ["One", "Three", "Two"]


def test_two_lines_about_one_relative_become_one_with_both_roles() -> None:
    chart = Chart()
    kin = "NK1|{}|Rivera^Tom|SPO^Spouse^HL70063|||||"
    chart.send(
        *adt(
            "A28",
            pid(),
            kin.format(1).replace("|||||", "||||C^Emergency Contact^HL70131"),
            kin.format(2).replace("|||||", "||||N^Next-of-Kin^HL70131"),
        )
    )
    related = chart.one("RelatedPerson")
    codes = [coding["code"] for item in related["relationship"] for coding in item["coding"]]
    assert {"SPS", "C", "N"} <= set(codes)


def test_two_reactions_to_one_substance_are_both_kept() -> None:
    chart = Chart()
    chart.send(
        *adt(
            "A28", pid(), "AL1|1|DA|7980^Penicillin^RXNORM|SV|HIVES~RASH", "AL1|2|DA|7980^Penicillin^RXNORM|MO|WHEEZING"
        )
    )
    allergy = chart.one("AllergyIntolerance")
    said = [m["text"] for reaction in allergy["reaction"] for m in reaction["manifestation"]]
    assert said == ["HIVES", "RASH", "WHEEZING"]


def test_an_allergy_that_is_deleted_is_entered_in_error() -> None:
    chart = Chart()
    iam = "IAM|1|DA|7980^Penicillin^RXNORM|SV|HIVES|{}|||||20200101||||||{}"
    chart.send(msh("ADT^A60"), "EVN|A60|20261125090000", pid(), iam.format("A", "C"), "NTE|1||told by her mother")
    allergy = chart.one("AllergyIntolerance")
    assert allergy["clinicalStatus"]["coding"][0]["code"] == "active"
    assert allergy["verificationStatus"]["coding"][0]["code"] == "confirmed"
    assert allergy["note"] == [{"text": "told by her mother"}]
    chart.send(msh("ADT^A60"), "EVN|A60|20261125090000", pid(), iam.format("D", ""))
    allergy = chart.one("AllergyIntolerance")
    assert allergy["verificationStatus"]["coding"][0]["code"] == "entered-in-error"
    assert "clinicalStatus" not in allergy


def test_an_insured_relative_is_the_subscriber() -> None:
    chart = Chart()
    in1 = (
        "IN1|1|PPO^Preferred|PAY04|Acme Health|1 Main^^Town^WI||555-0300|GRP9||||||||Rivera^Jose|FTH^Father^HL70063|19500101"
        + "|" * 18
        + "POL998"
    )
    chart.send(*adt("A04", pid(), pv1("O"), in1))
    coverage = chart.one("Coverage")
    assert coverage["relationship"]["coding"][0]["code"] == "child"
    assert chart.referred(coverage["subscriber"])["name"][0]["given"] == ["Jose"]
    payer = chart.referred(coverage["payor"][0])
    assert (payer["name"], payer["address"][0]["city"], payer["telecom"][0]["value"]) == (
        "Acme Health",
        "Town",
        "555-0300",
    )


def test_the_same_number_and_substance_of_two_authorities_are_two_allergies() -> None:
    chart = Chart()
    for authority, reaction in (("A&1.2.3&ISO", "HIVES"), ("B&1.2.4&ISO", "RASH")):
        chart.send(*adt("A28", f"PID|1||7^^^{authority}^MR||One^Ann", f"AL1|1|DA|7980^Penicillin^RXNORM|SV|{reaction}"))
    assert [a["reaction"][0]["manifestation"][0]["text"] for a in chart.all("AllergyIntolerance")] == ["HIVES", "RASH"]


def test_a_message_without_a_pid_says_so() -> None:
    with pytest.raises(Unmapped, match="the message has no PID segment"):
        run(b"MSH|^~\\&|A|B|C|D|20260101||ADT^A01^ADT_A01|1|P|2.5.1\rEVN|A01|20260101\r")
