"""What each step does, by its name; every action is a generator that yields requests for effects."""

from __future__ import annotations

from collections.abc import Mapping

from suture.engine.steps import choices, fhir, maps, sends, validate
from suture.engine.walk import Action

ACTIONS: Mapping[str, Action] = {
    "filter": choices.filter_,
    "branch": choices.branch,
    "map": maps.map_,
    "validate": validate.validate_,
    "fhir.search": fhir.search,
    "fhir.write": fhir.write,
    "http.send": sends.http,
    "mllp.send": sends.mllp,
    "file.write": sends.file,
}
