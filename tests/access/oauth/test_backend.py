"""Programs in their own name get short tokens within their registration, and nothing else."""

from __future__ import annotations

import pytest

from suture.access.oauth.errors import OAuthRefused
from suture.store import apps, audit, grants
from suture.store.apps import ENDED, OAuthClient
from tests.access.oauth import proofs
from tests.access.oauth.house import House
from tests.access.oauth.proofs import keep


async def refused(house: House, client: OAuthClient, scope: str) -> tuple[str, int]:
    with pytest.raises(OAuthRefused) as error:
        await house.backend.grant(client, {"scope": scope})
    return error.value.error, error.value.status


async def test_a_token_within_the_registration(house: House) -> None:
    client = keep(house.database, proofs.client(scopes=("system/Patient.rs", "system/Observation.rs")))
    wish = {"scope": "system/Patient.read system/Observation.cruds system/Encounter.rs"}
    answer = await house.backend.grant(client, wish, "192.0.2.7")
    assert answer.scope == "system/Patient.read system/Observation.rs"
    assert answer.expires_in == 300
    assert set(answer.body()) == {"access_token", "token_type", "expires_in", "scope"}
    now = house.clock.micros()
    found = grants.live_token(house.database.read, answer.access_token, grants.ACCESS, now)
    assert found is not None
    grant, token = found
    assert (grant.client, grant.user, grant.refresh, grant.aud) == (client.id, "", "", "https://suture.example/fhir")
    assert token.scopes == ("system/Patient.read", "system/Observation.rs")
    assert grants.live_token(house.database.read, answer.access_token, grants.ACCESS, now + 301_000_000) is None
    row = audit.find(house.database.read)[0].row
    assert (row.who, row.what, row.id, row.address) == (f"client:{client.id}", "token", grant.id, "192.0.2.7")


@pytest.mark.parametrize("scope", ["", "system/Encounter.rs", "user/Patient.rs", "patient/Patient.rs", "openid", "x/y"])
async def test_nothing_outside_the_registration(house: House, scope: str) -> None:
    limits = ("system/Patient.rs", "user/Patient.rs", "openid")
    client = keep(house.database, proofs.client(scopes=limits))
    assert await refused(house, client, scope) == ("invalid_scope", 400)


async def test_only_programs_with_keys_that_registered_for_it(house: House) -> None:
    without = keep(house.database, proofs.client("a", grant_types=("authorization_code",)))
    assert await refused(house, without, "system/*.rs") == ("unauthorized_client", 400)
    secret = house.symmetric(grant_types=("client_credentials",), scopes=("system/*.rs",))
    assert await refused(house, secret, "system/*.rs") == ("unauthorized_client", 400)


async def test_a_client_that_ended_since_it_proved_itself_gets_nothing(house: House) -> None:
    client = keep(house.database, proofs.client())
    house.database.write_now(lambda tx: apps.turn(tx, client.id, ENDED))
    assert await refused(house, client, "system/*.rs") == ("invalid_client", 401)
    assert grants.of_client(house.database.read, client.id, house.clock.micros()) == []


async def test_granular_scopes(house: House) -> None:
    lab = "system/Observation.rs?category=laboratory"
    client = keep(house.database, proofs.client(scopes=(lab, "system/Condition.rs")))
    wish = f"system/*.rs system/Condition.rs?category=problem-list-item {lab}"
    answer = await house.backend.grant(client, {"scope": wish})
    assert answer.scope.split() == [lab, "system/Condition.rs", "system/Condition.rs?category=problem-list-item"]
    survey = await house.backend.grant(client, {"scope": f"{lab}&status=final"})
    assert survey.scope == f"{lab}&status=final"
    assert await refused(house, client, "system/Observation.rs?category=survey") == ("invalid_scope", 400)
