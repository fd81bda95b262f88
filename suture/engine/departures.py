"""The audit row of each attempt to send: whose data went where, and how it ended (45 CFR 164.528: accounting of disclosures)."""

from __future__ import annotations

import re

from suture.errors import OutboundRefused, SendAmbiguous, SendFailed, SendUnavailable, SutureError
from suture.message import DeliveryState
from suture.store import audit, whose
from suture.store.connection import Tx
from suture.store.queue import deliveries, runs
from suture.store.queue.deliveries import Delivery

SEND = "send"
DELIVERED, REFUSED, UNSENT = "delivered", "refused", "not sent"  # and `ambiguous`; the first word of a row's detail
STATUS = {DELIVERED: 200, str(DeliveryState.AMBIGUOUS): 504}
_WRITTEN = re.compile(rb'"location":\s*"(Patient/[A-Za-z0-9.\-]{1,64})/_history/')


def note(tx: Tx, delivery: Delivery, body: bytes | None, partner: str, error: SutureError | None = None) -> None:
    """Leaves the row of an attempt, in the unit that writes down how it ended; `body` is read when it is not at hand.

    What could not be sent at all leaves one the first time only. Its detail: how it ended, by which step, over which
    connection, and the partner behind it if the connection names one.
    """
    run, how = runs.get(tx, delivery.run), _how(error)
    if how == UNSENT and delivery.attempts:
        return
    row = audit.AuditRow(
        f"flow:{run.flow if run else ''}",
        SEND,
        "Delivery",
        delivery.id,
        outcome=STATUS.get(how, 502),
        detail=f"{how} {delivery.content_type} {delivery.connection} {partner}".rstrip(),
        patients=_patients(tx, delivery, deliveries.content(tx, delivery.did) if body is None else body),
    )
    audit.append(tx, row)


def _how(error: SutureError | None) -> str:
    """Whether the destination has seen it: what is refused with an answer was seen."""
    if error is None:
        return DELIVERED
    if isinstance(error, SendAmbiguous):
        return str(DeliveryState.AMBIGUOUS)
    unsent = isinstance(error, SendUnavailable | OutboundRefused) or not isinstance(error, SendFailed)
    return UNSENT if unsent and not getattr(error, "answer", "") else REFUSED


def _patients(tx: Tx, delivery: Delivery, body: bytes) -> tuple[str, ...]:
    """Whom the message is about and whom the bytes name; when neither says so, whose chart the run has written."""
    found = (*whose.of_message(tx, delivery.mid), *whose.named(body))
    if not found:
        kept = runs.steps(tx, delivery.run)
        found = tuple(id.decode() for step in kept for id in _WRITTEN.findall(step.output))
    return tuple(dict.fromkeys(found))
