"""SMART App Launch: authorize, token, refresh."""

from __future__ import annotations

from suture.store.apps import SYMMETRIC
from tests.conformance.smart import Kit


async def test_standalone_patient(smart: Kit) -> None:
    app = smart.app()
    async with smart.browser("patty") as patty:
        told = await app.whole(patty, "openid fhirUser launch/patient patient/*.rs offline_access")
    print(told)
    assert told["patient"] == "p1"
    assert (await smart.read("Patient/p1", told["access_token"])).status_code == 200
    assert (await smart.read("Patient/p2", told["access_token"])).status_code == 404


async def test_standalone_staff(smart: Kit) -> None:
    app = smart.app(SYMMETRIC)
    async with smart.browser("doctor") as doctor:
        told = await app.whole(doctor, "openid fhirUser launch/patient patient/*.rs offline_access", whose="p2")
    assert told["patient"] == "p2"
    again = await app.refresh(told["refresh_token"])
    assert again.status_code == 200, again.text
    claims = await smart.claims(told["id_token"], app.id)
    assert claims["fhirUser"] == smart.fhir + "/Practitioner/d1"
    assert (
        await smart.http.get(claims["fhirUser"], headers={"Authorization": f"Bearer {told['access_token']}"})
    ).status_code == 200
