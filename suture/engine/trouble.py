"""Says where an unexpected error happened without saying what its text holds: that may be a patient's (45 CFR 164.312)."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Iterable
from pathlib import Path


def place(error: BaseException) -> str:
    """`KeyError at sends.py:41`: the kind and the innermost place."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}"


def of_task(task: asyncio.Task[None]) -> str:
    """What ended a task unexpectedly; '' when nothing did."""
    error = None if task.cancelled() else task.exception()
    return place(error) if error is not None else ""


async def ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancels tasks and waits until they have let go of what they held."""
    left = list(tasks)
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
