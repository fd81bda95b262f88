"""The Message of the house: an original that never changes, with what is known about it (EIP: Message).

https://www.enterpriseintegrationpatterns.com/patterns/messaging/Message.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class MessageState(StrEnum):
    RECEIVED = "received"
    FILTERED = "filtered"
    UNROUTED = "unrouted"
    DONE = "done"
    FAILED = "failed"


class RunState(StrEnum):
    RUNNING = "running"
    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    RETRYING = "retrying"
    AMBIGUOUS = "ambiguous"
    DEAD = "dead"


@dataclass(slots=True)
class Message:
    """What a source received, byte for byte, and what it is indexed by.

    `source` is the id of the flow's source door (`mllp:2575`, `hooks/intake`); `kind` the content type
    (`hl7v2`, `json`, `fhir`); `attributes` what the source knows besides (remote address, headers that are not secret).
    """

    id: str
    source: str
    kind: str
    original: bytes
    received: int  # microseconds since 1970
    control_id: str = ""
    type: str = ""  # ADT^A01, or the resource type, or empty
    patients: tuple[str, ...] = ()  # patient identifiers it names
    duplicate_of: str = ""  # same control id seen before with another body
    attributes: dict[str, Any] = field(default_factory=dict)
