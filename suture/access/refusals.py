"""What a person who signs in may be told besides no: wait, prove it in a second way, confirm that it is you."""

from __future__ import annotations

from suture.errors import Forbidden, SutureError, Unauthenticated


class TooManyAttempts(SutureError):
    """Wrong passwords or codes before; wait."""

    code, status, issue = "too-many-attempts", 429, "throttled"


class SecondFactorNeeded(Unauthenticated):
    """The first proof was good and is not enough. `step` is the token with which the second one is given; it is no session."""

    code = "second-factor-needed"

    def __init__(self, step: str, *, set_up: bool) -> None:
        super().__init__("a second factor is needed", mend="Sign in with a browser and follow the pages.")
        self.step = step
        self.set_up = set_up  # nothing is set up yet: do that first


class LinkEnded(Unauthenticated):
    """A link that works once was used, taken back, or is too old: to sign in would not help, so the person is told."""

    code = "link-ended"

    def __init__(self, mend: str) -> None:
        super().__init__("this link was used or is too old", mend=mend)


class ConfirmationNeeded(Forbidden):
    """The session's last proof is too long ago for a change of privileges."""

    code = "confirmation-needed"
