"""The thread that ends what runs too long."""

from __future__ import annotations

import threading
import time

from suture.store.postgres.budget import Watch


def test_only_what_still_runs_past_its_time_is_cancelled() -> None:
    watch, told = Watch(), threading.Event()
    early = watch.guard(0.02, lambda: None)
    assert not early.done()
    late = watch.guard(0.03, told.set)
    assert told.wait(5)
    assert late.done()
    assert not early.fired


def test_blocks_that_ended_are_forgotten_together() -> None:
    watch = Watch()
    for _ in range(500):
        watch.guard(0.02, lambda: None).done()
    end = time.monotonic() + 5
    while watch.waiting and time.monotonic() < end:
        time.sleep(0.01)
    assert watch.waiting == 0
