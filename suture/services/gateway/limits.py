"""Holds limits over all processes: each takes slices of what is left from the database and spends them without asking.

Never is more let in than the limit says. A process may refuse early by what others hold and don't use: at most a quarter of what
is left (a slice), given back after HOLD seconds. Counting: store/gateway_budgets.py.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from suture.clock import Clock, new_id
from suture.errors import SutureError, Unavailable
from suture.services.gateway.bounds import Bound
from suture.store import gateway_budgets as budgets
from suture.store.connection import Tx
from suture.store.database import Database

SHARE = 4  # a slice is at most this part of what is left
HOLD = 2.0  # seconds; a slice that is not used for so long goes back
LIFE = 10_000_000  # microseconds; what a process that died ran at once is free again after it
RENEW = 3.0
IDLE = 60.0  # seconds; what nobody asks for is forgotten
ROUNDS = 8  # slices a request waits for while others are quicker


class TooMany(SutureError):
    """Past a limit; `after` says in how many seconds it makes sense to come again."""

    code, status, issue, retry = "too-many-requests", 429, "throttled", True

    def __init__(self, text: str, *, where: str, after: float, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__(text, where=where, mend=f"Come again in {max(1, math.ceil(after))} s.")
        self.after = after
        self.headers = list(headers)


@dataclass(slots=True)
class _Pool:
    """This process's slice of one bound."""

    bound: Bound
    seen: float  # monotonic; when it was last asked for
    units: int = 0
    until: int = 0
    taken: int = 0
    left: int = 0  # what everybody had after our last slice
    step: int = 1
    refused: float = 0.0  # monotonic; until then there is nothing
    again: float = 0.0
    held: int = 0  # of what may run at once
    running: int = 0
    peak: int = 0
    renewed: float = 0.0
    asking: asyncio.Task[None] | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that was let in; `leave` it when it ends, or let `with` do so."""

    headers: list[tuple[bytes, bytes]]
    pools: tuple[_Pool, ...]

    def __enter__(self) -> Ticket:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        for pool in self.pools:
            if pool.bound.window is None:
                pool.running -= 1


class Keeper:
    """`enter` lets a request in or raises TooMany; `tend` once a second, `close` at the end."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._process = new_id(clock)
        self._pools: dict[str, _Pool] = {}

    async def enter(self, bounds: Sequence[Bound]) -> Ticket:
        """All bounds or none."""
        pools = [self._pool(bound) for bound in bounds]
        for _ in range(ROUNDS):
            empty = [pool for pool in pools if not self._ready(pool)]
            if not empty:
                return self._let_in(pools)
            for pool in empty:
                if pool.refused > self._clock.monotonic():
                    raise self._too_many(pool, pools)
            await asyncio.gather(*(self._refill(pool) for pool in empty))
        raise self._too_many(empty[0], pools)

    def _pool(self, bound: Bound) -> _Pool:
        now, found = self._clock.monotonic(), self._pools.get(bound.bucket)
        if found is None or found.bound != bound:  # a limit was changed
            step = max(1, bound.window.limit // 100) if bound.window else 1
            found = self._pools[bound.bucket] = _Pool(bound, now, step=step, running=found.running if found else 0)
        found.seen = now
        return found

    def _ready(self, pool: _Pool) -> bool:
        if pool.bound.window is None:
            return pool.running < pool.held
        return pool.units > 0 and self._clock.micros() < pool.until

    def _let_in(self, pools: list[_Pool]) -> Ticket:
        for pool in pools:
            if pool.bound.window is None:
                pool.running += 1
                pool.peak = max(pool.peak, pool.running)
            else:
                pool.units -= 1
        return Ticket(self._fields(pools), tuple(pools))

    async def _refill(self, pool: _Pool) -> None:
        """One slice at a time for each pool, however many wait for it."""
        if pool.asking is None:
            pool.asking = asyncio.create_task(self._ask(pool))
        await asyncio.shield(pool.asking)

    async def _ask(self, pool: _Pool) -> None:
        try:
            if pool.bound.window is None:
                await self._ask_to_run(pool)
            else:
                await self._ask_for_units(pool)
        finally:
            pool.asking = None

    async def _ask_for_units(self, pool: _Pool) -> None:
        window, bucket, now = pool.bound.window, pool.bound.bucket, self._clock.micros()
        assert window is not None
        quick = now - pool.taken < 1_000_000
        pool.step = min(max(1, window.limit // 10), pool.step * 2) if quick else max(1, pool.step // 2)
        wanted = pool.step
        found = await self._database.write(lambda tx: budgets.take(tx, bucket, window, wanted, SHARE))
        pool.units, pool.until, pool.left, pool.taken = found.units, found.until, found.left, self._clock.micros()
        if not found.units:
            pool.again = found.again
            pool.refused = self._clock.monotonic() + min(found.again, 1.0)

    async def _ask_to_run(self, pool: _Pool) -> None:
        most, bucket, wanted = pool.bound.at_once, pool.bound.bucket, max(1, pool.held * 2, pool.running + 1)
        wanted = min(wanted, pool.running + max(1, (most - pool.running) // 2))
        pool.held = await self._database.write(lambda tx: budgets.hold(tx, bucket, self._process, most, wanted, LIFE))
        pool.renewed = self._clock.monotonic()
        if pool.held <= pool.running:
            pool.again = 1.0
            pool.refused = self._clock.monotonic() + 0.05

    def _too_many(self, pool: _Pool, pools: list[_Pool]) -> TooMany:
        said = f"{pool.bound.at_once} at once" if pool.bound.window is None else f"the limit of each {pool.bound.name}"
        headers = [(b"retry-after", str(max(1, math.ceil(pool.again))).encode()), *self._fields(pools, pool)]
        return TooMany(f"too many requests: {said}", where=pool.bound.name, after=pool.again, headers=headers)

    def _fields(self, pools: list[_Pool], worst: _Pool | None = None) -> list[tuple[bytes, bytes]]:
        """RateLimit-Policy names every limit, RateLimit the one of which the smallest part is left."""
        counted = [pool for pool in pools if pool.bound.window is not None]
        if not counted:
            return []
        policies = ", ".join(_policy(pool.bound) for pool in counted)
        tight = worst if worst in counted else min(counted, key=_part_left)
        return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", self._standing(tight).encode())]

    def _standing(self, pool: _Pool) -> str:
        window = pool.bound.window
        assert window is not None
        left = 0 if pool.again and pool.refused > self._clock.monotonic() else pool.units + max(0, pool.left)
        reset = pool.again if not left else (window.seconds or max(1, (pool.until - self._clock.micros()) // 1_000_000))
        if window.kind == "calendar" and left:
            reset = max(1, (pool.until - self._clock.micros()) // 1_000_000)
        return f'"{pool.bound.name}";r={left};t={max(1, math.ceil(reset))}'

    async def tend(self) -> None:
        """Gives back what is not used, renews what runs, forgets what nobody asks for."""
        work = [unit for pool in list(self._pools.values()) for unit in self._due(pool)]
        if work:
            await self._database.write(lambda tx: _all(tx, work))
        now = self._clock.monotonic()
        for bucket, pool in list(self._pools.items()):
            if now - pool.seen > IDLE and not pool.running and not pool.units and pool.asking is None:
                del self._pools[bucket]

    def _due(self, pool: _Pool) -> Iterable[_Unit]:
        now = self._clock.monotonic()
        if pool.bound.window is not None:
            if pool.units and now - pool.seen > HOLD:
                yield self._return(pool)
        elif pool.held and pool.asking is None and now - pool.renewed > RENEW:
            pool.renewed = now
            pool.held = pool.peak if now - pool.seen < IDLE else pool.running
            pool.peak = pool.running
            yield _Hold(pool, self._process)

    def _return(self, pool: _Pool) -> _Unit:
        units, pool.units = pool.units, 0
        return _Back(pool.bound, units, pool.taken)

    async def close(self) -> None:
        """Everything goes back."""
        work: list[_Unit] = []
        for pool in self._pools.values():
            if pool.bound.window is not None and pool.units:
                work.append(self._return(pool))
            elif pool.held:
                pool.held = 0
                work.append(_Hold(pool, self._process))
        self._pools.clear()
        try:
            if work:
                await self._database.write(lambda tx: _all(tx, work))
        except Unavailable:
            return  # the database is fenced: what is held ends by itself


@dataclass(frozen=True, slots=True)
class _Back:
    bound: Bound
    units: int
    taken: int

    def __call__(self, tx: Tx) -> None:
        assert self.bound.window is not None
        budgets.give_back(tx, self.bound.bucket, self.bound.window, self.units, self.taken)


@dataclass(frozen=True, slots=True)
class _Hold:
    pool: _Pool
    process: str

    def __call__(self, tx: Tx) -> None:
        bound = self.pool.bound
        self.pool.held = budgets.hold(tx, bound.bucket, self.process, bound.at_once, self.pool.held, LIFE)


_Unit = _Back | _Hold


def _all(tx: Tx, work: Iterable[_Unit]) -> None:
    for unit in work:
        unit(tx)


def _part_left(pool: _Pool) -> float:
    assert pool.bound.window is not None
    return (pool.units + max(0, pool.left)) / max(1, pool.bound.window.limit)


def _policy(bound: Bound) -> str:
    assert bound.window is not None
    seconds = bound.window.seconds or 2592000
    return f'"{bound.name}";q={bound.window.limit};w={seconds}'
