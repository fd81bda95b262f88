"""An amendment never replaces silently: what stood before is read by its version, and the trail says who changed it (45 CFR 164.526)."""

from __future__ import annotations

from pathlib import Path

from tests.server.people import observation, patient
from tests.server.running import serving


async def test_what_was_amended_is_still_there(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        await server.put(patient("p1"))
        await server.put(observation("o1", "p1", value="72"))
        first = (await server.http.get("/fhir/Observation/o1")).json()
        amended = observation("o1", "p1", value="27", note=[{"text": "digits were exchanged"}], status="amended")
        await server.put(amended)
        assert (await server.http.get("/fhir/Observation/o1/_history/1")).json() == first
        assert (await server.http.get("/fhir/Observation/o1")).json()["valueString"] == "27"
        await server.http.delete("/fhir/Observation/o1")
        assert (await server.http.get("/fhir/Observation/o1")).status_code == 410
        assert (await server.http.get("/fhir/Observation/o1/_history/1")).json() == first
        history = (await server.http.get("/fhir/Observation/o1/_history")).json()
        assert [entry["request"]["method"] for entry in history["entry"]] == ["DELETE", "PUT", "PUT"]
        changes = [
            (row.what, row.patient) for row in server.trail() if row.what in ("update", "delete") and row.id == "o1"
        ]
        assert changes == [("update", "Patient/p1"), ("update", "Patient/p1"), ("delete", "Patient/p1")]
