"""What makes thousands of tests quick and changes nothing that they see: read once, hashed cheaply, less looking for garbage."""

from __future__ import annotations

import gc
from functools import cache
from typing import Any

import httpx
from argon2 import PasswordHasher

from suture.access import passwords

made_context = httpx.create_ssl_context
of_the_system = cache(made_context)


def shared_context(*, verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
    """Reading the system's authorities takes longer than beginning a server: the tests' many clients share them."""
    shared = verify is True and cert is None and trust_env
    return of_the_system() if shared else made_context(verify=verify, cert=cert, trust_env=trust_env)


def begin() -> None:
    httpx._transports.default.create_ssl_context = shared_context
    passwords._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    gc.disable()  # until all tests are found


def collected() -> None:
    """What was read to find the tests stays until the end: the collector need not walk it again and again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)  # as `suture serve` does
    gc.enable()
