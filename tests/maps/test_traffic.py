"""Whatever the sandbox sends, sound or odd, becomes valid FHIR, and a chart that stays valid (HL7 v2.5.1)."""

from __future__ import annotations

import pytest

from suture.sandbox import traffic
from suture.sandbox.traffic_variants import VARIANTS
from suture.standards.fhir import us_core
from tests.maps.chart import Chart, errors, run


def broken(raws: list[bytes]) -> list[str]:
    return [error for raw in raws for entry in run(raw).value["entry"] for error in errors(entry["resource"])]


@pytest.mark.slow
def test_two_thousand_messages_become_valid_resources() -> None:
    assert broken(list(traffic.mixed(11, 2000, odd=0.2))) == []


@pytest.mark.slow
@pytest.mark.parametrize("version", us_core.VERSIONS)
def test_what_becomes_of_an_admission_keeps_us_core(version: str) -> None:
    """So that a flow may hold it against US Core right after the map; a visit without its number can't, nor a merge (A40)."""
    made = [run(raw).value for raw in traffic.adt(15, 300) if b"|^^^" not in raw and b"^A40^" not in raw]
    assert len(made) > 250
    found = [issue for bundle in made for issue in us_core.held(us_core.Named(version), bundle)]
    assert [(issue.expression, issue.text) for issue in found if issue.severity in ("error", "fatal")] == []


@pytest.mark.parametrize("variant", list(VARIANTS))
def test_odd_senders_become_valid_resources(variant: str) -> None:
    assert broken([VARIANTS[variant](raw) for raw in traffic.mixed(12, 45)]) == []


def test_a_chart_stays_valid_over_many_messages() -> None:
    chart = Chart()
    for raw in traffic.mixed(13, 400):
        chart.write(run(raw))  # asserts that every stored resource is valid
    assert len(chart.all("Patient")) < 60
    assert {visit["status"] for visit in chart.all("Encounter")} <= {"planned", "in-progress", "finished", "cancelled"}
    ended = [visit for visit in chart.all("Encounter") if "end" in visit.get("period", {})]
    assert {visit["status"] for visit in ended} == {"finished"}


def test_the_same_traffic_twice_makes_no_second_resource_but_provenance() -> None:
    once, twice = Chart(), Chart()
    raws = list(traffic.mixed(14, 60))
    for raw in raws:
        once.write(run(raw))
    for raw in [*raws, *raws]:
        twice.write(run(raw))
    for kind in once.stored:
        if kind != "Provenance":
            assert len(once.all(kind)) == len(twice.all(kind)), kind
