"""The doors of a project: which flows stand behind a source, which of them claim a message, and in which lane it goes.

https://www.enterpriseintegrationpatterns.com/patterns/messaging/MessageRouter.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

from suture.connectors.fhir import table
from suture.engine import expressions
from suture.engine.subject import FHIR, HL7V2, JSON, Subject, focus, parse
from suture.engine.versions import Versions
from suture.engine.walk import Version, Walk
from suture.errors import Invalid, InvalidMessage, SutureError
from suture.message import Message
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.hl7v2 import message as hl7v2
from suture.standards.hl7v2 import place
from suture.store.connection import Tx
from suture.store.queue import runs
from suture.store.queue.runs import Run

KINDS = {"mllp": HL7V2, "hooks": JSON, "poll": FHIR, "changed": FHIR}
TYPE = re.compile(r"[A-Z0-9]{2,3}(?:\^[A-Z0-9]{2,3})?")
OTHER = "other"  # a type that no standard knows; its name is the sender's own
LONGEST = 200  # characters of what the journal is searched by
MOST_PATIENTS = 50  # of one message
PATIENT_PLACES = ("PID-3.1", "PID-2.1", "MRG-1.1")


def source_of(version: Version, default_port: int) -> str:
    """The name of a flow's door; flows on one port share theirs."""
    door = version.flow.source
    if door.uses == "mllp.listen":
        return f"mllp:{door.with_.get('port') or default_port}"
    return f"{_DOORS[door.uses]}:{version.flow.id}"


_DOORS = {"http.listen": "hooks", "fhir.poll": "poll", "fhir.changed": "changed"}


@dataclass(slots=True)
class Arrival:
    """A message as it came, before it is journalled."""

    message: Message
    sender: str
    parsed: Any
    charset: str | None
    broken: SutureError | None = None


class Doors:
    """Routes messages to the flows in force."""

    def __init__(self, versions: Versions, default_port: int) -> None:
        self.flows: dict[str, list[Version]] = {}
        for version in versions.active.values():
            self.flows.setdefault(source_of(version, default_port), []).append(version)

    def arrival(self, message: Message) -> Arrival:
        """The message read as far as the journal needs; what is broken is noted, not raised."""
        flows = self.flows.get(message.source, [])
        charset = next((v.flow.source.with_.get("charset") for v in flows if v.flow.source.with_.get("charset")), None)
        arrival = Arrival(message, "", None, charset)
        try:
            arrival.parsed = parse(message.kind, message.original, charset)
            index(arrival, flows)
        except Invalid as error:
            arrival.broken = error
        return arrival

    def claims(self, arrival: Arrival) -> list[tuple[Version, str]]:
        """The flows that claim it, each with the lane it goes in."""
        flows = self.flows.get(arrival.message.source, [])
        return [(version, _lane(version, arrival)) for version in flows if claimed(version, arrival)]

    def route(self, tx: Tx, message: Message) -> list[Run]:
        """Runs for a message that is journalled already; whoever runs due runs takes them."""
        arrival = self.arrival(message)
        claims = [] if arrival.broken else self.claims(arrival)
        return [runs.insert(tx, message.received, v.flow.id, version=v.name, lane=lane) for v, lane in claims]


def claimed(version: Version, arrival: Arrival) -> bool:
    """Whether a flow claims a message by its type and sender."""
    wanted = version.flow.source.with_
    types, senders = wanted.get("messages"), wanted.get("from")
    if types and not any(_fits(arrival.message.type, str(one)) for one in types):
        return False
    return not senders or arrival.sender.partition("|")[0] in senders


def _fits(type: str, wanted: str) -> bool:
    """`ADT^A01` fits `ADT^A01`, `ADT^*` and `ADT`."""
    code, _, event = wanted.replace("_", "^").partition("^")
    found, _, of = type.partition("^")
    return found == code and event in ("", "*", of)


def _lane(version: Version, arrival: Arrival) -> str:
    """The first value of order_by; a message without one shares the lane of all such."""
    order = version.flow.order_by
    if not order:
        return ""
    subject = Subject(arrival.message, arrival.charset, arrival.parsed)
    if isinstance(arrival.parsed, hl7v2.Message) and place.FORM.fullmatch(order):
        return arrival.parsed.get(order) or "-"
    try:
        found = Walk(version, subject, {}, content=arrival.parsed).evaluate(order)
    except SutureError:
        return "-"
    return str(found[0]) if found else "-"


def index(arrival: Arrival, flows: Sequence[Version]) -> None:
    """Fills in what the journal is searched by; raises Invalid when the content has no type."""
    _INDEX[arrival.message.kind](arrival, flows)


def _index_hl7(arrival: Arrival, _: Sequence[Version]) -> None:
    parsed, message = arrival.parsed, arrival.message
    if not parsed.get("MSH-9.1"):
        raise InvalidMessage(
            "the message type is missing", where="MSH-9", mend="Send such as ADT^A01.", error_code="101"
        )
    message.type = parsed.type if TYPE.fullmatch(parsed.type) else OTHER
    message.control_id = key(parsed.control_id)
    message.patients = few(text for where in PATIENT_PLACES for text in parsed.values(where))
    arrival.sender = f"{parsed.get('MSH-3.1')[:100]}|{parsed.get('MSH-4.1')[:100]}"


def _index_json(arrival: Arrival, flows: Sequence[Version]) -> None:
    message, door = arrival.message, flows[0].flow.source.with_ if flows else {}
    message.type = "".join(_texts(door.get("type"), arrival.parsed))[:LONGEST]
    message.patients = few(_texts(door.get("patient"), arrival.parsed))
    message.control_id = key(str(message.attributes.get("event_id") or ""))


def _texts(expression: str | None, content: Any) -> Iterator[str]:
    """What an expression of the source finds; what it cannot find only is missing from lists."""
    if not expression:
        return
    with suppress(SutureError):
        for found in expressions.compiled(expression).evaluate(focus(content)):
            yield str(found)


def _index_fhir(arrival: Arrival, _: Sequence[Version]) -> None:
    resource, message = arrival.parsed, arrival.message
    kind, meta = resource.get("resourceType"), table(resource.get("meta"))
    message.type = kind if isinstance(kind, str) and kind in RESOURCE_TYPES else OTHER
    version = meta.get("versionId") or meta.get("lastUpdated")
    message.control_id = key(f"{message.type}/{resource.get('id')}/_history/{version}")
    message.patients = few(_patients(resource))


def _patients(resource: Mapping[str, Any]) -> Iterator[str]:
    """A patient's own id and identifiers, or the patient a resource is about."""
    if resource.get("resourceType") == "Patient":
        yield str(resource.get("id") or "")
        listed = resource.get("identifier")
        for one in listed if isinstance(listed, list) else ():
            yield str(table(one).get("value") or "")
    for name in ("subject", "patient"):
        reference = str(table(resource.get(name)).get("reference") or "")
        if "Patient/" in reference:
            yield reference.rpartition("Patient/")[2].partition("/")[0]


def key(text: str) -> str:
    """An id for the journal's index: a long one by its digest."""
    return text if len(text) <= LONGEST else hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def few(found: Iterable[str]) -> tuple[str, ...]:
    """Patient identifiers for the journal's index: each once, not too many, none too long."""
    return tuple(islice(dict.fromkeys(text[:LONGEST] for text in found if text), MOST_PATIENTS))


_INDEX = {HL7V2: _index_hl7, JSON: _index_json, FHIR: _index_fhir}
