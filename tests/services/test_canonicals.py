"""What canonicals lead to is remembered, and what is stored, changed or deleted counts at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from suture.access.policy import SYSTEM
from suture.errors import InvalidResource
from suture.services.canonicals import Known
from suture.standards.fhir.profiles import rules
from tests.services.matches.house import House
from tests.services.matches.house import house as opened
from tests.standards.fhir.profiles.made import PULSE, pulse_profile

US_CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"
BODY_TEMPERATURE = "http://hl7.org/fhir/StructureDefinition/bodytemp"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    with opened(tmp_path) as made:
        yield made


async def put(house: House, resource: dict[str, Any], id: str = "x") -> None:
    await house.app.interactions.update(SYSTEM, resource["resourceType"], id, {**resource, "id": id})


def known(house: House) -> Known:
    with house.chart.canonicals.at(house.chart.database.read) as found:
        return found


async def test_what_is_stored_changed_and_deleted_counts_at_once(house: House) -> None:
    canonicals, read = house.chart.canonicals, house.chart.database.read
    with canonicals.at(read) as found:
        assert found.profile(PULSE) is None
    await put(house, pulse_profile)
    with canonicals.at(read) as found:
        first = found.profile(PULSE)
        assert first is not None
        assert first.version == "1"
        assert found.profile(f"{PULSE}|2") is None
        assert found.definition("StructureDefinition", PULSE) is not None
    await put(house, {**pulse_profile, "version": "2"})
    with canonicals.at(read) as found:
        second = found.profile(PULSE)
        assert second is not None
        assert second.version == "2"
    await house.app.interactions.delete(SYSTEM, "StructureDefinition", "x")
    with canonicals.at(read) as found:
        assert found.profile(PULSE) is None


async def test_it_is_remembered_until_something_of_its_kind_is_written(house: House) -> None:
    await put(house, pulse_profile)
    before = known(house)
    await house.put("ann")
    assert known(house) is before, "a Patient changes no canonical"
    codes = {"resourceType": "ValueSet", "url": "urn:codes", "status": "active"}
    await put(house, {**codes, "compose": {"include": [{"system": "urn:s", "concept": [{"code": "a"}]}]}})
    assert known(house) is not before
    with house.chart.canonicals.at(house.chart.database.read) as found:
        assert found.member_of("urn:s", "a", "urn:codes") is True
        assert found.member_of("urn:s", "b", "urn:codes") is False
        assert found.member_of("urn:s", "b", "urn:others") is None


async def test_what_may_be_taken_back_is_not_remembered(house: House) -> None:
    with house.chart.canonicals.within(house.chart.database.read) as found:
        assert found.profile(PULSE) is None
    assert known(house) is not found


async def test_what_is_inside_is_known_by_its_canonical(house: House) -> None:
    with house.chart.canonicals.at(house.chart.database.read) as found:
        for url in (US_CORE, f"{US_CORE}|7.0.0", BODY_TEMPERATURE, f"{BODY_TEMPERATURE}|4.0.1"):
            there = found.profile(url)
            assert there is not None, url
            assert there.url == url.partition("|")[0]


@pytest.mark.parametrize(
    "url", ["urn:" + "x" * 10_000, "", "|1", "urn:a,b", "urn:a$b", f"{PULSE},urn:x", f"{PULSE}|1,2"]
)
async def test_addresses_that_lead_nowhere_are_no_error(house: House, url: str) -> None:
    await put(house, pulse_profile)
    with house.chart.canonicals.at(house.chart.database.read) as found:
        assert found.profile(url) is None
        assert found.definition("StructureDefinition", url) is None
        assert found.definition("Library", url) is None


async def test_a_profile_that_can_not_be_read_says_so_each_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    await put(house, {**pulse_profile, "url": "urn:large"})
    monkeypatch.setattr(rules, "_MOST", 1)
    with house.chart.canonicals.at(house.chart.database.read) as found:
        for _ in range(2):
            with pytest.raises(InvalidResource, match="has no url, type or elements"):
                found.profile("urn:large")
            assert found.sound("urn:large") is None


async def test_another_code_system_is_asked_as_it_stands(house: House) -> None:
    system = {"resourceType": "CodeSystem", "url": "urn:s", "status": "active", "content": "complete"}
    await put(house, {**system, "concept": [{"code": "a"}]})
    with house.chart.canonicals.at(house.chart.database.read) as found:
        there = found.definition("CodeSystem", "urn:s")
        assert there is not None
        assert [one["code"] for one in there["concept"]] == ["a"]
