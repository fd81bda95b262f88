"""Natural group commit: every unit that arrived during the last commit is part of the next transaction.

Units run on the event loop in arrival order, each in a savepoint of its own; COMMIT with its fsync runs in one helper
thread; a unit's caller goes on only when its bytes are on disk (https://sqlite.org/wal.html, synchronous=FULL).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, TypeVar

from suture.clock import Clock
from suture.errors import SutureError, Unavailable
from suture.store.connection import Busy, Tx
from suture.store.identities import Identities

T = TypeVar("T")
Unit = Callable[[Tx], Any]
Waiting = tuple[Unit, "asyncio.Future[Any]", Callable[[], None] | None]

LOCK_SECONDS = 30.0  # how long another process may hold the write lock
GROUP_SECONDS = 0.02  # a group takes no further units after so long on the loop
PROBE_SECONDS = 1.0  # how often a fenced database is tried again


class Stepper:
    """Numbers transactions in time: never the same microsecond twice, never backwards, whatever the clock does."""

    def __init__(self, clock: Clock, last: int = 0) -> None:
        self._clock = clock
        self.last = last

    def __call__(self, seen: int = 0) -> int:
        """`seen`: the newest time that stands in the database already, if another process may write there."""
        self.last = max(self._clock.micros(), self.last + 1, seen + 1)
        return self.last


def run_unit(tx: Tx, unit: Callable[[Tx], T]) -> T:
    """Runs one unit (or a part of one) in a savepoint; undoes it alone when it raises."""
    committed, rolled_back, chain = len(tx._committed), len(tx._rolled_back), tx.chain
    tx.execute("SAVEPOINT unit")
    try:
        result = unit(tx)
        tx.execute("RELEASE unit")
    except BaseException:
        if tx.open:
            tx.execute("ROLLBACK TO unit")
            tx.execute("RELEASE unit")
        forget(tx, committed, rolled_back)
        tx.chain, tx.claimed = chain, {}
        raise
    return result


def forget(tx: Tx, committed: int = 0, rolled_back: int = 0) -> None:
    """Calls what a rollback must undo outside the database, newest first."""
    del tx._committed[committed:]
    while len(tx._rolled_back) > rolled_back:
        tx._rolled_back.pop()()


class Ahead(Exception):
    """A group that was sent ahead of the lock came too late, and did nothing."""


class GroupCommit:
    """The writer of a serving process; made for one event loop."""

    def __init__(
        self, tx: Tx, stepper: Stepper, reopen: Callable[[], Tx], committed: Callable[[], None], alone: Lock
    ) -> None:
        """`alone`: held while this process writes past the loop (Database.write_now)."""
        self._alone = alone
        self._holds = False
        self._tx = tx
        self._stepper = stepper
        self._reopen = reopen
        self._on_commit = committed
        self._where = tx.shared.where
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work_off, name="suture-commit", daemon=True)
        self._thread.start()
        self._waiting: deque[Waiting] = deque()
        self._scheduled = False
        self._busy = False
        self.fenced = ""  # why nothing is written just now
        self.groups = 0
        self.units = 0

    @property
    def identities(self) -> Identities:
        return self._tx.identities

    @property
    def backlog(self) -> int:
        """Units that wait for their turn."""
        return len(self._waiting)

    async def write(self, unit: Callable[[Tx], T], turn: Callable[[], None] | None = None) -> T:
        """Runs `unit` in the next group; returns its result when that group is on disk.

        `turn`: the unit only adds rows, so it may run beside the loop, and again if that was in vain; `turn` is called
        on the loop before it does.
        """
        return await self.submit(unit, turn)

    def submit(self, unit: Callable[[Tx], T], turn: Callable[[], None] | None = None) -> asyncio.Future[T]:
        """The same for who waits in another way; raises Unavailable while nothing is written."""
        if self.fenced:
            raise Unavailable(self.fenced, where=self._where, after=PROBE_SECONDS)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append((unit, future, turn))
        self._schedule(loop)
        return future

    def _schedule(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._scheduled and not self._busy and self._waiting:
            self._scheduled = True
            loop.call_soon(self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Takes the write lock: at once when it is free, else the helper thread waits for it."""
        self._scheduled, self._busy = False, True
        if not self._hold():
            self._in_thread(loop, self._wait_for_lock, self._run)
            return
        if all(turn for _, _, turn in self._waiting) and self._tx.ahead():
            self._send_ahead(loop)
            return
        try:
            self._tx.take()
        except Busy:
            self._in_thread(loop, self._wait_for_lock, self._run)
        except Exception as error:
            if self._tx.gone:  # the session ended while nothing was written
                self._in_thread(loop, self._begin_anew, self._run)
            else:
                self._failed(loop, [], error)
        else:
            self._run(loop, None, [])

    def _send_ahead(self, loop: asyncio.AbstractEventLoop) -> None:
        """All that waits only adds rows: the helper thread makes and sends it, and the loop goes on."""
        group, self._waiting = [one for one in self._waiting if not one[1].done()], deque()
        for _, _, turn in group:
            if turn:
                turn()
        done: list[tuple[asyncio.Future[Any], Any]] = [(future, None) for _, future, _ in group]

        def sent(loop: asyncio.AbstractEventLoop, error: BaseException | None, done: list[Any]) -> None:
            if isinstance(error, Ahead):
                self._waiting.extendleft(reversed(group))
                self._begin(loop)
            else:
                self._finish(loop, error, done)

        self._in_thread(loop, lambda: self._ahead(group, done), sent, done)

    def _ahead(self, group: list[Waiting], done: list[tuple[asyncio.Future[Any], Any]]) -> None:
        try:
            if not self._sent(group, done):
                forget(self._tx)
                raise Ahead
        finally:
            self._let_others()

    def _sent(self, group: list[Waiting], done: list[tuple[asyncio.Future[Any], Any]]) -> bool:
        self._tx.begin(self._stepper(self._tx.latest))
        try:
            done[:] = [(future, unit(self._tx)) for unit, future, _ in group]
        except Exception:  # each runs by itself then, and hears of its own
            return False
        return self._tx.commit_ahead()

    def _begin_anew(self) -> None:
        self._tx.close()
        self._tx = self._reopen()
        self._tx.take(LOCK_SECONDS)

    def _wait_for_lock(self) -> None:
        if not self._hold(LOCK_SECONDS):
            raise Busy("another write of this process keeps the database busy", where=self._where, after=2.0)
        self._tx.take(LOCK_SECONDS)

    def _hold(self, seconds: float = 0.0) -> bool:
        """Keeps writes of this process past the loop away, from before the lock of the database until all is forgotten
        that a failed one has numbered: they share what is remembered, and a server lets its lock go when a statement fails.
        """
        if not self._holds:
            self._holds = self._alone.acquire(blocking=seconds > 0, timeout=seconds or -1)
        return self._holds

    def _let_others(self) -> None:
        if self._holds:
            self._holds = False
            self._alone.release()

    def _run(self, loop: asyncio.AbstractEventLoop, error: BaseException | None, _: list[Any]) -> None:
        if error is not None:
            self._failed(loop, [], error)
            return
        if len(self._waiting) == 1:
            self._run_alone(loop)
            return
        self._end(loop, self._run_units(loop))

    def _end(self, loop: asyncio.AbstractEventLoop, done: list[tuple[asyncio.Future[Any], Any]]) -> None:
        if not self._tx.open:  # SQLite gave the whole transaction up (disk full, I/O error), or the server is gone
            self._failed(loop, done, self._tx.lost or Unavailable("the database gave the transaction up"))
            return
        self._in_thread(loop, self._commit, self._finish, done)

    def _run_alone(self, loop: asyncio.AbstractEventLoop) -> None:
        """One unit needs no savepoint: the transaction is its own."""
        unit, future, turn = self._waiting.popleft()
        if future.done():  # nothing has begun, so there is nothing to commit
            self._in_thread(loop, self._roll_back, self._finish)
            return
        self._tx.begin(self._stepper(self._tx.latest))
        if turn:
            turn()
        try:
            result = unit(self._tx)
        except BaseException as error:
            if not self._tx.open:
                self._failed(loop, [(future, None)], self._tx.lost or error)
                return
            forget(self._tx)
            future.set_exception(_settable(error))
            self._in_thread(loop, self._roll_back, self._finish)
        else:
            self._end(loop, [(future, result)])

    def _run_units(self, loop: asyncio.AbstractEventLoop) -> list[tuple[asyncio.Future[Any], Any]]:
        tx, waiting = self._tx, self._waiting
        tx.begin(self._stepper(tx.latest))
        end = loop.time() + GROUP_SECONDS
        done: list[tuple[asyncio.Future[Any], Any]] = []
        while waiting and loop.time() < end:
            unit, future, turn = waiting.popleft()
            if future.done():  # its caller gave up before it ran
                continue
            if turn:
                turn()
            try:
                done.append((future, run_unit(tx, unit)))
            except BaseException as error:  # the unit's own affair, unless SQLite gave the transaction up
                if not tx.open:
                    done.append((future, None))
                    break
                future.set_exception(_settable(error))
        return done

    def _commit(self) -> None:
        try:
            self._tx.commit()
        except BaseException:
            forget(self._tx)
            raise
        finally:
            self._let_others()

    def _roll_back(self) -> None:
        try:
            self._tx.roll_back()
        finally:
            self._let_others()

    def _in_thread(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], None],
        then: Callable[[asyncio.AbstractEventLoop, BaseException | None, list[Any]], None],
        done: list[Any] | None = None,
    ) -> None:
        def call() -> None:
            error: BaseException | None = None
            try:
                work()
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
                loop.call_soon_threadsafe(then, loop, error, done or [])

        self._work.put(call)

    def _finish(self, loop: asyncio.AbstractEventLoop, error: BaseException | None, done: list[Any]) -> None:
        if error is not None:
            self._failed(loop, done, error)
            return
        calls, self._tx._committed = self._tx._committed, []
        self._tx._rolled_back.clear()
        self._busy = False
        self.groups += 1
        self.units += len(done)
        for call in calls:
            loop.call_soon(call)
        for future, result in done:
            if not future.done():
                future.set_result(result)
        self._on_commit()
        self._schedule(loop)

    def _failed(self, loop: asyncio.AbstractEventLoop, done: list[Any], error: BaseException) -> None:
        """Nothing of the group is on disk: every caller hears it, and nothing is written until a probe works."""
        reason = self._tx.heard(error)
        forget(self._tx)
        self._let_go()
        self._let_others()
        for future, _ in done:
            if not future.done():
                future.set_exception(_again(reason))
        if isinstance(reason, SutureError) and not isinstance(reason, Unavailable):  # these rows, not the database
            self._busy = False
            self._schedule(loop)
            return
        if isinstance(reason, Busy):
            self._refuse_waiting(reason)
            self._busy = False
            return
        self.fenced = getattr(reason, "text", "the database could not write")
        self._refuse_waiting(reason)
        loop.call_later(PROBE_SECONDS, self._probe, loop)

    def _let_go(self) -> None:
        """Other processes need not wait for a transaction that is lost."""
        try:
            if self._tx.open:
                self._tx.roll_back()
        except Exception:
            return  # the connection is closed before the next try anyway

    def _refuse_waiting(self, reason: BaseException) -> None:
        while self._waiting:
            _, future, _ = self._waiting.popleft()
            if not future.done():
                future.set_exception(_again(reason))

    def _probe(self, loop: asyncio.AbstractEventLoop) -> None:
        self._in_thread(loop, self._try_again, self._probed)

    def _try_again(self) -> None:
        """A fresh connection must write and sync one row before anything else may."""
        self._tx.close()
        self._tx = self._reopen()
        self._tx.take(LOCK_SECONDS)
        self._tx.begin(self._stepper(self._tx.latest))
        self._tx.execute("INSERT OR REPLACE INTO fact VALUES ('probe', ?)", (str(self._tx.now),))
        self._tx.commit()

    def _probed(self, loop: asyncio.AbstractEventLoop, error: BaseException | None, _: list[Any]) -> None:
        if error is not None:
            loop.call_later(PROBE_SECONDS, self._probe, loop)
            return
        self.fenced = ""
        self._busy = False
        self._schedule(loop)

    def _work_off(self) -> None:
        """The helper thread; a plain queue wakes it faster than a pool does."""
        while (work := self._work.get()) is not None:
            work()

    def close(self) -> None:
        self._work.put(None)
        self._thread.join()
        self._tx.close()


def _settable(error: BaseException) -> BaseException:
    """A future refuses StopIteration."""
    return RuntimeError("a unit raised StopIteration") if isinstance(error, StopIteration) else error


def _again(reason: BaseException) -> BaseException:
    """One exception object per caller: a traceback must not be shared between tasks."""
    if isinstance(reason, Unavailable):
        return Unavailable(reason.text, where=reason.where, mend=reason.mend, after=reason.after)
    if isinstance(reason, SutureError):
        return type(reason)(reason.text, where=reason.where, mend=reason.mend)
    return Unavailable(f"the database could not write ({type(reason).__name__})")
