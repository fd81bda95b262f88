"""Seeded: below /fhir, what is wrong is always told in FHIR's way: a text, and a place that names parameter, header, path or line."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from suture.server.route import Route
from suture.server.routes import TABLE
from tests.attacks.fuzzed import Fuzzed, few, issue_of, opened
from tests.attacks.test_every_parameter import ODD, SEED
from tests.attacks.test_every_route import BODIES, TYPES, path_of

FHIR_ROUTES = [route for route in TABLE if route.pattern.startswith("/fhir") and "/." not in route.pattern]
# parameters of a search's address that shape it whatever is asked, beside those of the route
SHAPES = (
    "_count",
    "_sort",
    "_include",
    "_elements",
    "_summary",
    "_since",
    "_type",
    "_filter",
    "_has:x",
    "patient",
    "x",
)


@pytest.fixture(scope="module")
def fuzzed(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with opened(tmp_path_factory.mktemp("routes"), ("Patient", "Observation", "Encounter")) as found:
        yield found


@pytest.mark.parametrize("route", FHIR_ROUTES, ids=lambda route: f"{route.method} {route.pattern}")
def test_below_fhir_every_refusal_is_an_outcome_with_a_place(fuzzed: Fuzzed, route: Route) -> None:
    """The list is the table's own, so that no new route is left out."""
    chance = random.Random(f"{SEED} {route.method} {route.pattern}")
    for _ in range(few(12) + 1):
        path = re.sub(r"\{type\}", chance.choice(("Patient", "Observation", "Nothing")), route.pattern)
        path = re.sub(r"\{id\}", chance.choice(("a", "p1", "none", "%00", "x" * 70)), path)
        path = path_of(replace(route, pattern=path), chance)
        name = chance.choice([*route.query, *SHAPES])
        sent: dict[str, Any] = {}
        if route.method in ("POST", "PUT", "PATCH"):
            kind = chance.choice((*TYPES, "application/json", "application/json-patch+json"))
            sent = {"content": chance.choice(BODIES), "headers": {"Content-Type": kind}}
        answer = fuzzed.ask(route.method, f"{path}?{quote(name)}={quote(chance.choice(ODD), safe='')[:500]}", **sent)
        if answer.status_code >= 400 and route.method != "HEAD":
            assert issue_of(answer)["details"]["text"], (path, answer.text)
