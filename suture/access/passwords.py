"""Passwords: Argon2id, a least length, and the same time for a name that nobody has (RFC 9106, NIST SP 800-63B)."""

from __future__ import annotations

import re
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from suture.errors import Invalid

SHORTEST = 12
LONGEST = 1024
NONE = "!"  # of a person who has no password yet, or signs in elsewhere; no text is it
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


def hashed(password: str) -> str:
    """The hash to keep; slow on purpose, so call it in a thread."""
    return _HASHER.hash(password[:LONGEST])


def matches(kept: str, password: str) -> bool:
    """Whether the password is the one that was hashed; slow on purpose, so call it in a thread."""
    try:
        return _HASHER.verify(kept if kept != NONE else nobody(), password[:LONGEST]) and kept != NONE
    except (VerificationError, InvalidHashError):
        return False


@cache
def nobody() -> str:
    """Verified when there is no such user, so that an unknown name takes as long as a wrong password."""
    return _HASHER.hash("nobody")


def require(password: str, login: str) -> None:
    """Raises Invalid for a password that is too short or is the name."""
    if len(password) < SHORTEST or password.lower() == login.lower() or len(set(password)) < 5:
        raise Invalid(
            f"the password is too easy to guess: at least {SHORTEST} characters, not the name, not one repeated",
            where="password",
            mend="Take several words.",
        )


def require_login(login: str) -> None:
    """Raises Invalid for a name that can't be typed or told apart."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}", login, re.ASCII):
        raise Invalid("not a login name", where="login", mend="Use letters, digits and . _ @ + -")
