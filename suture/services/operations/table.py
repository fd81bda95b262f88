"""THE table of operations: what stands here has an address, is listed in metadata and can be called in a batch."""

from __future__ import annotations

import suture.services.operations.docref as docref
import suture.services.operations.everything as everything
import suture.services.operations.expand as expand
import suture.services.operations.export as export
import suture.services.operations.graphql as graphql
import suture.services.operations.lastn as lastn
import suture.services.operations.lookup as lookup
import suture.services.operations.match as match
import suture.services.operations.meta as meta
import suture.services.operations.subscription_events as subscription_events
import suture.services.operations.subscription_resend as subscription_resend
import suture.services.operations.subscription_status as subscription_status
import suture.services.operations.translate as translate
import suture.services.operations.validate as validate
import suture.services.operations.validate_code as validate_code
import suture.services.operations.ws_token as ws_token
from suture.services.operations.operation import Operation

TABLE: tuple[Operation, ...] = (
    everything.PATIENT,
    everything.ENCOUNTER,
    export.SYSTEM,
    export.PATIENT,
    export.GROUP,
    lastn.OPERATION,
    match.OPERATION,
    graphql.OPERATION,
    docref.OPERATION,
    meta.META,
    meta.ADD,
    meta.DELETE,
    validate.OPERATION,
    expand.OPERATION,
    validate_code.SET,
    validate_code.SYSTEM,
    lookup.LOOKUP,
    lookup.SUBSUMES,
    translate.OPERATION,
    subscription_status.OPERATION,
    subscription_events.OPERATION,
    subscription_resend.OPERATION,
    ws_token.OPERATION,
)


def on_type(type: str) -> list[Operation]:
    """The operations of a resource type, at type or instance level."""
    return [o for o in TABLE if (not o.types or type in o.types) and ("type" in o.on or "instance" in o.on)]


def on_system() -> list[Operation]:
    """The operations at the base."""
    return [o for o in TABLE if "system" in o.on]


def named(name: str, type: str, id: str) -> Operation | None:
    """The operation `$name` at the base, of a type, or of a resource."""
    level = "instance" if id else "type" if type else "system"
    fits = (o for o in TABLE if o.name == name and level in o.on and (not type or not o.types or type in o.types))
    return next(fits, None)
