"""Visits over several messages: admitted, moved, discharged, taken back, cancelled, sent again, late."""

from __future__ import annotations

import pytest

from tests.maps.chart import Chart, Resource, adt, pid, pv1

END = "20261125093000"


def admitted() -> Chart:
    chart = Chart()
    chart.send(*adt("A01", pid(), pv1()))
    return chart


def places(chart: Chart) -> list[tuple[str, str]]:
    visit = chart.one("Encounter")
    return [(chart.referred(item["location"])["name"], item["status"]) for item in visit["location"]]


def test_an_admission_is_in_progress_at_its_place() -> None:
    chart = admitted()
    visit = chart.one("Encounter")
    assert (visit["status"], visit["class"]["code"]) == ("in-progress", "IMP")
    assert visit["period"] == {"start": "2026-11-24T08:15:00-06:00"}
    assert places(chart) == [("4W 402 1", "active")]
    assert chart.referred(visit["subject"])["resourceType"] == "Patient"
    assert chart.referred(visit["serviceProvider"])["name"] == "LAKESIDE"


@pytest.mark.parametrize("event", ["A28", "A31"])
def test_events_about_persons_make_no_visit(event: str) -> None:
    chart = Chart()
    chart.send(*adt(event, pid(), pv1()))
    assert chart.all("Encounter") == []


def test_a_transfer_moves_and_its_cancel_moves_back() -> None:
    chart = admitted()
    chart.send(*adt("A02", pid(), pv1(place="ICU^1^A", prior="4W^402^1")))
    assert places(chart) == [("ICU 1 A", "active"), ("4W 402 1", "completed")]
    chart.send(*adt("A12", pid(), pv1(place="4W^402^1")))
    assert places(chart) == [("4W 402 1", "active")]


def test_a_discharge_finishes_and_its_cancel_opens_again() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1(end=END, disposition="01")))
    visit = chart.one("Encounter")
    assert (visit["status"], visit["period"]["end"]) == ("finished", "2026-11-25T09:30:00-06:00")
    assert visit["hospitalization"]["dischargeDisposition"]["coding"][0]["code"] == "home"
    chart.send(*adt("A13", pid(), pv1()))
    visit = chart.one("Encounter")
    assert visit["status"] == "in-progress"
    assert visit["period"] == {"start": "2026-11-24T08:15:00-06:00"}
    assert "dischargeDisposition" not in visit.get("hospitalization", {})


def test_a_cancelled_discharge_that_still_says_the_time_opens_all_the_same() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1(end=END)))
    chart.send(*adt("A13", pid(), pv1(end=END, disposition="01")))
    visit = chart.one("Encounter")
    assert visit["status"] == "in-progress"
    assert "end" not in visit["period"]


def test_a_discharge_without_its_time_ends_when_it_was_recorded() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1()))
    assert chart.one("Encounter")["period"]["end"] == "2026-11-25T09:00:00-06:00"


def test_an_update_after_the_discharge_leaves_the_visit_finished() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1(end=END)))
    chart.send(*adt("A08", pid(), pv1(place="4W^403^1")))
    visit = chart.one("Encounter")
    assert (visit["status"], visit["period"]["end"]) == ("finished", "2026-11-25T09:30:00-06:00")


def test_an_admission_sent_again_after_the_discharge_changes_nothing() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1(end=END, disposition="01")))
    before = chart.one("Encounter")
    chart.send(*adt("A01", pid(), pv1()))
    assert chart.one("Encounter") == before


def test_a_later_admission_under_the_same_number_opens_it_anew() -> None:
    chart = admitted()
    chart.send(*adt("A03", pid(), pv1(end=END, disposition="01")))
    chart.send(*adt("A04", pid(), pv1("O", start="20261201100000")))
    visit = chart.one("Encounter")
    assert (visit["status"], visit["class"]["code"]) == ("in-progress", "AMB")
    assert visit["period"] == {"start": "2026-12-01T10:00:00-06:00"}


def test_a_cancelled_admission_stays_cancelled() -> None:
    chart = admitted()
    chart.send(*adt("A11", pid(), pv1()))
    assert chart.one("Encounter")["status"] == "cancelled"
    chart.send(*adt("A08", pid(), pv1()))
    chart.send(*adt("A01", pid(), pv1()))
    assert chart.one("Encounter")["status"] == "cancelled"


def test_a_new_admission_after_a_cancelled_one_counts() -> None:
    chart = admitted()
    chart.send(*adt("A11", pid(), pv1()))
    chart.send(*adt("A01", pid(), pv1(start="20261125110000")))
    assert chart.one("Encounter")["status"] == "in-progress"


def test_a_planned_visit_becomes_a_real_one_and_not_planned_again() -> None:
    chart = Chart()
    chart.send(*adt("A05", pid(), pv1("P", start="")))
    visit = chart.one("Encounter")
    assert (visit["status"], visit["class"]["code"], places(chart)) == ("planned", "PRENC", [("4W 402 1", "planned")])
    chart.send(*adt("A01", pid(), pv1()))
    assert (chart.one("Encounter")["status"], chart.one("Encounter")["class"]["code"]) == ("in-progress", "IMP")
    chart.send(*adt("A05", pid(), pv1("P", start="")))
    assert (chart.one("Encounter")["status"], chart.one("Encounter")["class"]["code"]) == ("in-progress", "IMP")


def test_a_change_of_class() -> None:
    chart = Chart()
    chart.send(*adt("A04", pid(), pv1("O")))
    chart.send(*adt("A06", pid(), pv1("I")))
    assert chart.one("Encounter")["class"]["code"] == "IMP"
    chart.send(*adt("A07", pid(), pv1("O")))
    assert chart.one("Encounter")["class"]["code"] == "AMB"


def test_every_doctor_takes_part_in_the_visit() -> None:
    chart = Chart()
    doctors = "1001^Okafor^Chidi~1002^Lind^Ingrid"
    chart.send(
        *adt("A01", pid(), pv1().replace("|4W^402^1||||", f"|4W^402^1||||1000^Ray^Priya|1003^Sun^Li|{doctors}", 1))
    )
    taking_part: list[Resource] = chart.one("Encounter")["participant"]
    found = [(p["type"][0]["coding"][0]["code"], p["individual"]["display"]) for p in taking_part]
    assert found == [("ATND", "Priya Ray"), ("REF", "Li Sun"), ("CON", "Chidi Okafor"), ("CON", "Ingrid Lind")]


def test_measurements_of_an_admission_are_observations_of_the_visit() -> None:
    chart = Chart()
    chart.send(*adt("A01", pid(), pv1(), "OBX|1|NM|8302-2^Height^LN||172|cm^cm^UCUM|||||F|||20261124"))
    chart.send(*adt("A08", pid(), pv1(), "OBX|1|NM|8302-2^Height^LN||173|cm^cm^UCUM|||||C|||20261124"))
    height = chart.one("Observation")
    assert (height["valueQuantity"]["value"], height["status"]) == (173, "corrected")
    assert "category" not in height
    assert chart.referred(height["encounter"])["resourceType"] == "Encounter"
