"""Holds content against a profile that is stored here, for flows (https://hl7.org/fhir/R4/profiling.html)."""

from __future__ import annotations

from typing import Any

from suture.errors import Invalid, Issue
from suture.services.interactions.chart import Chart
from suture.services.operations import validate
from suture.standards.fhir import profiles
from suture.standards.fhir.us_core import of_type
from suture.store.connection import Connection


def held(chart: Chart, connection: Connection, content: dict[str, Any], url: str) -> list[Issue]:
    """What is found about content; of a Bundle about the resources in it that are of the profile's type."""
    with chart.canonicals.within(connection) as known:
        profile = known.profile(url)
        if profile is None:
            mend = "Install its guide: suture ig install FILE.tgz; then replay. In a flow test: give its StructureDefinition."
            raise Invalid(f"the profile {url[:300]} is not here", where="profile", mend=mend)
        around = validate.around(known, content, chart.clock.now().date().isoformat())
        found: list[Issue] = []
        for inner, path in of_type(content, profile.type):
            found += profiles.below(path, profiles.check(inner, profile, around))
        return profiles.few(found)
