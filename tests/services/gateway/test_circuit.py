"""The circuit: opens after failures in a row, tries with one request, waits longer each time that fails."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from suture.clock import SetClock
from suture.errors import Unavailable
from suture.services.gateway.circuit import LONGEST, Breaker
from suture.services.gateway.route_file import Circuit


class Tried:
    """A breaker of three failures and ten seconds, with its clock."""

    def __init__(self) -> None:
        self.clock = SetClock(datetime(2026, 11, 25, tzinfo=UTC))
        self.breaker = Breaker(Circuit(3, 10.0), self.clock, "gateway/orders")

    def fails(self, times: int = 1) -> None:
        for _ in range(times):
            self.breaker.enter()
            self.breaker.failed()

    def refused(self) -> float:
        with pytest.raises(Unavailable, match="left alone for a while") as error:
            self.breaker.enter()
        return error.value.after


def test_it_opens_after_failures_in_a_row() -> None:
    tried = Tried()
    tried.fails(2)
    tried.breaker.enter()
    tried.breaker.worked()
    tried.fails(2)
    assert tried.breaker.state == "closed"
    tried.fails()
    assert tried.breaker.state == "open"
    assert tried.refused() == 10.0
    tried.clock.advance(7)
    assert tried.refused() == 3.0


def test_one_request_tries_and_closes_it() -> None:
    tried = Tried()
    tried.fails(3)
    tried.clock.advance(10)
    assert tried.breaker.state == "half-open"
    tried.breaker.enter()
    assert tried.refused() == 1.0
    tried.breaker.worked()
    for _ in range(5):
        tried.breaker.enter()
    assert tried.breaker.state == "closed"


def test_a_failed_try_waits_twice_as_long_up_to_the_longest() -> None:
    tried = Tried()
    tried.fails(3)
    for wait in (10.0, 20.0, 40.0, 80.0, 160.0, LONGEST, LONGEST):
        assert tried.refused() == pytest.approx(wait)
        tried.clock.advance(wait - 0.5)
        tried.refused()
        tried.clock.advance(0.5)
        tried.fails()
    tried.clock.advance(LONGEST)
    tried.breaker.enter()
    tried.breaker.worked()
    tried.fails(3)
    assert tried.refused() == 10.0


def test_a_try_that_tells_nothing_leaves_the_place_to_another() -> None:
    tried = Tried()
    tried.fails(3)
    tried.clock.advance(10)
    tried.breaker.enter()
    tried.breaker.left()
    tried.breaker.enter()
    tried.refused()
