"""Limits hold exactly, over time and over processes; what is not used goes back."""

from __future__ import annotations

import asyncio
import re
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from subprocess import PIPE

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from suture.clock import SetClock
from suture.errors import Invalid
from suture.services.gateway import bounds
from suture.services.gateway.bounds import Bound
from suture.services.gateway.limits import HOLD, Keeper, TooMany
from suture.store import gateway_budgets as budgets
from suture.store.connection import Tx
from tests import stores

START = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)


class Room:
    """One database, a clock to move, and as many processes' keepers as wanted."""

    def __init__(self, folder: Path) -> None:
        self.clock = SetClock(START)
        self.database = stores.database(folder, self.clock)
        self.keepers = [Keeper(self.database, self.clock), Keeper(self.database, self.clock)]

    async def let_in(self, keeper: int, limits: tuple[Bound, ...], times: int) -> int:
        done = 0
        for _ in range(times):
            try:
                (await self.keepers[keeper].enter(limits)).leave()
                done += 1
            except TooMany:
                continue
        return done


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


def of(text: str, whom: str = "key:a") -> tuple[Bound, ...]:
    return bounds.words(text).bounds(whom)


@pytest.mark.parametrize("text", ["second=7", "minute=7", "hour=7", "day=7", "month=7", "second=2 burst=7"])
async def test_never_more_than_the_limit_and_never_less_for_one_process(room: Room, text: str) -> None:
    assert await room.let_in(0, of(text), 30) == 7


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("second=40", 1), ("minute=300", 61), ("hour=300", 3961), ("day=300", 86400), ("month=300", 31 * 86400)],
)
async def test_the_next_time_everything_is_there_again(room: Room, text: str, seconds: int) -> None:
    limit = int(text.partition("=")[2])
    assert await room.let_in(0, of(text), limit + 50) == limit
    room.clock.advance(seconds * 1.1)
    assert await room.let_in(0, of(text), limit + 50) == limit


async def test_a_bucket_fills_steadily_up_to_its_burst(room: Room) -> None:
    limits = of("second=10 burst=30")
    assert await room.let_in(0, limits, 100) == 30
    room.clock.advance(0.5)
    assert await room.let_in(0, limits, 100) == 5
    room.clock.advance(2.0)
    assert await room.let_in(0, limits, 100) == 20
    room.clock.advance(3600.0)
    assert await room.let_in(0, limits, 100) == 30


async def test_a_minute_slides_and_knows_no_edge(room: Room) -> None:
    room.clock.advance(59)  # just before a whole minute
    assert await room.let_in(0, of("minute=100"), 200) == 100
    room.clock.advance(2)
    assert await room.let_in(0, of("minute=100"), 200) == 0
    room.clock.advance(35)
    assert await room.let_in(0, of("minute=100"), 200) == 0
    room.clock.advance(30)
    assert await room.let_in(0, of("minute=100"), 200) == 100


async def test_a_month_ends_with_the_calendar(room: Room) -> None:
    assert await room.let_in(0, of("month=5"), 9) == 5
    with pytest.raises(TooMany) as error:
        await room.keepers[0].enter(of("month=5"))
    assert error.value.after == pytest.approx(5 * 86400 + 16 * 3600)  # 1 December, 0:00 UTC
    room.clock.advance(5 * 86400 + 16 * 3600 - 1)
    assert await room.let_in(0, of("month=5"), 9) == 0
    room.clock.advance(2)
    assert await room.let_in(0, of("month=5"), 9) == 5


@pytest.mark.parametrize("text", ["minute=500", "day=500", "second=1 burst=500"])
async def test_two_processes_together_get_exactly_the_limit(room: Room, text: str) -> None:
    done = [0, 0]
    for turn in range(1200):
        done[turn % 2] += await room.let_in(turn % 2, of(text), 1)
    assert sum(done) == 500
    assert min(done) > 0


async def test_what_a_silent_process_holds_is_at_most_a_slice_and_goes_back(room: Room) -> None:
    assert await room.let_in(0, of("day=1000"), 1) == 1
    done = await room.let_in(1, of("day=1000"), 2000)
    assert 1000 - 1000 // 4 <= done + 1 < 1000
    room.clock.advance(HOLD + 1)
    await room.keepers[0].tend()
    assert 1 + done + await room.let_in(1, of("day=1000"), 2000) == 1000


async def test_a_process_that_ends_gives_everything_back(room: Room) -> None:
    assert await room.let_in(0, of("day=1000"), 1) == 1
    await room.keepers[0].close()
    assert await room.let_in(1, of("day=1000"), 2000) == 999


async def test_at_once_holds_over_processes_and_ends_with_a_dead_one(room: Room) -> None:
    limits = of("concurrency=6")
    first = [await room.keepers[0].enter(limits) for _ in range(4)]
    second = [await room.keepers[1].enter(limits) for _ in range(2)]
    for keeper in room.keepers:
        with pytest.raises(TooMany, match="6 at once"):
            await keeper.enter(limits)
    second[0].leave()
    room.clock.advance(0.1)
    await room.keepers[1].enter(limits)
    room.clock.advance(30)  # process 0 died: nobody renewed what it held
    room.keepers[0] = Keeper(room.database, room.clock)
    await room.keepers[1].tend()
    again = [await room.keepers[1].enter(limits) for _ in range(4)]
    assert (len(first), len(again)) == (4, 4)
    with pytest.raises(TooMany):
        await room.keepers[1].enter(limits)


async def test_what_runs_is_renewed_while_it_runs(room: Room) -> None:
    limits = of("concurrency=2")
    await room.keepers[0].enter(limits)
    await room.keepers[0].enter(limits)
    for _ in range(10):
        room.clock.advance(4)
        await room.keepers[0].tend()
        with pytest.raises(TooMany):
            await room.keepers[1].enter(limits)


async def test_all_limits_or_none(room: Room) -> None:
    both = (*of("day=5", "route:r"), *of("day=3", "key:a"))
    assert await room.let_in(0, both, 10) == 3
    assert await room.let_in(0, of("day=5", "route:r"), 10) == 2


async def test_many_at_once_get_no_more_than_one_after_the_other(room: Room) -> None:
    answers = await asyncio.gather(
        *(room.keepers[n % 2].enter(of("day=50")) for n in range(300)), return_exceptions=True
    )
    let_in = sum(not isinstance(answer, TooMany) for answer in answers)
    left = await room.let_in(0, of("day=50"), 60) + await room.let_in(1, of("day=50"), 60)
    assert let_in + left <= 50
    room.clock.advance(2)
    assert let_in + left + await room.let_in(0, of("day=50"), 60) + await room.let_in(1, of("day=50"), 60) == 50
    assert all(isinstance(answer, TooMany) for answer in answers if isinstance(answer, BaseException))


async def test_few_writes_for_many_requests(room: Room) -> None:
    written = 0
    write = room.database.write

    async def counting(unit: object) -> object:
        nonlocal written
        written += 1
        return await write(unit)  # type: ignore[arg-type]

    room.database.write = counting  # type: ignore[method-assign,assignment]
    assert await room.let_in(0, of("day=10000"), 12000) == 10000
    assert written < 100


async def test_the_fields_say_what_is_left_and_when_to_come_again(room: Room) -> None:
    limits = of("minute=10 day=1000")
    fields = dict((await room.keepers[0].enter(limits)).headers)
    assert fields == {
        b"ratelimit-policy": b'"minute";q=10;w=60, "day";q=1000;w=86400',
        b"ratelimit": b'"minute";r=9;t=60',
    }
    await room.let_in(0, limits, 9)
    with pytest.raises(TooMany, match="the limit of each minute") as error:
        await room.keepers[0].enter(limits)
    fields = dict(error.value.headers)
    assert fields[b"ratelimit"].startswith(b'"minute";r=0;t=')
    assert 1 <= int(fields[b"retry-after"]) <= 66
    assert re.search(r"Come again in \d+ s\.", error.value.mend)


async def test_a_changed_limit_holds_at_once(room: Room) -> None:
    assert await room.let_in(0, of("day=10"), 20) == 10
    assert await room.let_in(0, of("day=15"), 20) == 5


CHILD = """
import asyncio, sys
from pathlib import Path
from suture.clock import SYSTEM
from suture.services.gateway import bounds
from suture.services.gateway.limits import Keeper, TooMany
from tests import stores

async def main():
    database = stores.database(Path(sys.argv[1]))
    keeper, limits, done = Keeper(database, SYSTEM), bounds.words(sys.argv[2]).bounds("key:a"), 0
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(int(sys.argv[3])):
        results = await asyncio.gather(*(keeper.enter(limits) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(r, TooMany) for r in results if isinstance(r, BaseException)), results
        done += sum(not isinstance(r, BaseException) for r in results)
    print(done)
    await keeper.close()
    database.close()

asyncio.run(main())
"""


async def test_real_processes_race_for_one_quota(tmp_path: Path) -> None:
    stores.database(tmp_path).close()
    children = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, str(tmp_path), "day=2000", "120", stdin=PIPE, stdout=PIPE
        )
        for _ in range(2)
    ]
    for child in children:
        assert child.stdout is not None
        assert await child.stdout.readline() == b"ready\n"
    done = [int(said) for said, _ in await asyncio.gather(*(child.communicate(b"go\n") for child in children))]
    room = Room(tmp_path)
    room.clock.advance((datetime.now(UTC) - START).total_seconds())
    assert sum(done) + await room.let_in(0, of("day=2000"), 2100) == 2000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("minutes=5", "no limit named 'minutes'"),
        ("minute=0", "must be a whole number above 0"),
        ("minute=-1", "must be a whole number above 0"),
        ("minute=x", "must be a whole number above 0"),
        ("minute", "must be a whole number above 0"),
        ("burst=5", "'burst' goes with 'second'"),
        ("second=5 burst=2", "'burst' goes with 'second'"),
    ],
)
def test_limits_that_are_none(text: str, said: str) -> None:
    with pytest.raises(Invalid, match=said):
        bounds.words(text)


def test_no_minute_has_more_than_the_limit_and_what_one_slot_holds(tmp_path: Path) -> None:
    """The documented bound: within any minute at most the limit and what the slot at its edge held."""
    database = stores.database(tmp_path)

    @given(st.integers(1, 60), st.lists(st.integers(0, 9_000_000), min_size=20, max_size=200))
    @settings(max_examples=100, deadline=None)
    def holds(limit: int, steps: list[int]) -> None:
        used = database.write_now(lambda tx: walked(tx, limit, steps))
        for end in used:
            minute = [at for at in used if end - 60_000_000 < at <= end]
            edge = Counter(at // 6_000_000 for at in used)[(end - 60_000_000) // 6_000_000]
            assert len(minute) <= limit + edge

    holds()
    database.close()


def walked(tx: Tx, limit: int, steps: list[int]) -> list[int]:
    """When one unit after the other was let in, in a bucket of its own."""
    bucket, used = f"b{tx.now}", []
    for step in steps:
        tx.now += step
        if budgets.take(tx, bucket, budgets.Window("sliding", limit, 60), 1, 4).units:
            used.append(tx.now)
    return used


def test_months_are_those_of_the_calendar() -> None:
    for day in range(0, 40_000, 7):
        date = datetime.fromtimestamp(day * 86400, UTC)
        assert budgets._month(day * 86_400_000_000) - budgets._month(0) == (date.year - 1970) * 12 + date.month - 1
