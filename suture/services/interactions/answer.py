"""An answer that is ready to be sent: a status and the bytes of a resource."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """A Bundle or other resource as bytes; `patients`: whose records it holds, for the audit trail."""

    body: bytes
    status: int = 200
    patients: tuple[str, ...] = ()
