"""What a Subscription asks for, by a topic or by a search as its criteria, read and checked element by element.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription.html
https://hl7.org/fhir/R4/subscription.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from suture.errors import InvalidResource, InvalidSearch
from suture.standards.fhir import topics
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.topics import Topic, Trigger

TYPE = "Subscription"
IG = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
PROFILE = IG + "backport-subscription"
REQUESTED, ACTIVE, ERROR, OFF = "requested", "active", "error", "off"
EMPTY, ID_ONLY, FULL = "empty", "id-only", "full-resource"
CONTENTS = (EMPTY, ID_ONLY, FULL)
PAYLOADS = ("application/fhir+json", "application/json")
XML = "application/fhir+xml"  # of a resource; notifications of topics are JSON
REST_HOOK, WEBSOCKET, EMAIL = "rest-hook", "websocket", "email"
CHANNELS = (REST_HOOK, WEBSOCKET, EMAIL)
ATTACHED = ";attach="
MAILED = (
    "text/plain",
    f"text/plain{ATTACHED}{PAYLOADS[0]}",
    f"text/plain{ATTACHED}{PAYLOADS[1]}",
)  # as text, and attached
MOST_HEADERS, MOST_FILTERS, LONGEST_TEXT = 20, 10, 2000
SHORTEST_BEAT, LONGEST_WAIT, MOST_AT_ONCE = 10, 60, 100
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_MAILTO = re.compile(r"mailto:[\w.+-]{1,64}@[A-Za-z0-9.-]{1,180}", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]|[^\x00-\xff]")
OURS = frozenset(
    [
        "host",
        "connection",
        "content-length",
        "content-type",
        "transfer-encoding",
        "accept-encoding",
        "te",
        "trailer",
        "upgrade",
        "expect",
    ]
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One subscription as it was asked for; with a search as its criteria the topic is every version of the type."""

    topic: Topic
    filters: tuple[tuple[str, str], ...]  # (type, query)
    endpoint: str
    headers: tuple[tuple[str, str], ...]
    payload: str
    content: str
    heartbeat: int = 0  # seconds; 0: none
    timeout: int = 0
    most: int = 0  # events in one notification; 0: as many as the server likes
    end: int = 0  # microseconds; 0: none
    channel: str = REST_HOOK
    criteria: str = ""  # the search, when it is one

    @property
    def canonical(self) -> str:
        """The topic's URL; a search has none."""
        return "" if self.criteria else self.topic.url


def searched(criteria: str) -> str:
    """The type that is searched when the criteria is a search; empty when it names a topic."""
    type = criteria.partition("?")[0]
    return type if type in RESOURCE_TYPES else ""


def read(resource: Mapping[str, Any], known: Mapping[str, Topic], base: str = "") -> Wanted:
    """What is wanted; raises InvalidResource naming the element and the mend."""
    channel = resource.get("channel", {})
    criteria = str(resource.get("criteria", ""))
    if searched(criteria):
        return _by_search(resource, channel, criteria, base)
    _require_no_strangers(resource, channel, _HEEDED)
    topic = _topic(resource, known)
    return Wanted(
        topic,
        _filters(resource, topic, base),
        _endpoint(channel),
        _headers(channel),
        _payload(channel),
        _content(channel),
        _number(channel, "backport-heartbeat-period", "valueUnsignedInt", SHORTEST_BEAT, 7 * 86_400),
        _number(channel, "backport-timeout", "valueUnsignedInt", 1, LONGEST_WAIT),
        _number(channel, "backport-max-count", "valuePositiveInt", 1, MOST_AT_ONCE),
        _end(resource),
        str(channel["type"]),
    )


def _refused(text: str, where: str, mend: str) -> InvalidResource:
    return InvalidResource(text, where=f"{TYPE}.{where}", mend=mend)


_HEEDED = {
    "channel.extension": ("backport-heartbeat-period", "backport-timeout", "backport-max-count"),
    "criteria.extension": ("backport-filter-criteria",),
    "channel.payload.extension": ("backport-payload-content",),
}


def _require_no_strangers(
    resource: Mapping[str, Any], channel: Mapping[str, Any], heeded: Mapping[str, tuple[str, ...]]
) -> None:
    """Extensions that would change what is sent and are not known here are refused, not passed over."""
    places = {
        "extension": resource,
        "channel.extension": channel,
        "criteria.extension": resource.get("_criteria") or {},
        "channel.payload.extension": channel.get("_payload") or {},
        "channel.type.extension": channel.get("_type") or {},
    }
    for where, holder in places.items():
        for one in holder.get("extension", ()):
            url = str(one.get("url", ""))
            ours = url.startswith((IG, "http://hl7.org/fhir/5.0/"))
            if ours and url.removeprefix(IG) not in heeded.get(where, ()):
                raise _refused("this extension is not heeded here", where, "Leave it out.")


def _by_search(resource: Mapping[str, Any], channel: Mapping[str, Any], criteria: str, base: str) -> Wanted:
    """One whose criteria is a search: nothing of the topics' extensions means anything in it."""
    _require_no_strangers(resource, channel, {})
    type, query, payload = searched(criteria), _query(criteria, base), _resource_payload(channel)
    endpoint = _endpoint(channel)
    if payload and ("?" in endpoint or "#" in endpoint):
        raise _refused(
            "with a payload the endpoint is the base of an update", "channel.endpoint", "Write it without '?' and '#'."
        )
    return Wanted(
        of_type(type),
        ((type, query),) if query else (),
        endpoint,
        _headers(channel),
        payload,
        FULL if payload else EMPTY,
        end=_end(resource),
        channel=str(channel["type"]),
        criteria=criteria,
    )


@cache
def of_type(type: str) -> Topic:
    """What a search is held against: each version of a type that was created or updated, never a deletion."""
    return Topic(type, "", (Trigger(type),), {})


def _query(criteria: str, base: str) -> str:
    type, _, query = criteria.partition("?")
    if len(criteria) > LONGEST_TEXT:
        raise _refused("criteria is too long", "criteria", f"Write at most {LONGEST_TEXT} characters.")
    try:
        topics.conditions(type, query, base) if query else ()
    except InvalidSearch as error:
        text = f"criteria can't be used: {error.text}"
        raise _refused(text, "criteria", error.mend or "Write TYPE?PARAMETER=VALUE.") from None
    return query


def _resource_payload(channel: Mapping[str, Any]) -> str:
    """What the resource is sent as; empty: nothing goes along."""
    payload = str(channel.get("payload") or "")
    if payload and channel.get("type") != REST_HOOK:
        raise _refused(
            "websockets and mails of a search say only that something fits", "channel.payload", "Leave it out."
        )
    if payload and payload not in (*PAYLOADS, XML):
        raise _refused(
            "this payload is not sent",
            "channel.payload",
            f"Leave it out, or write one of: {', '.join((*PAYLOADS, XML))}.",
        )
    return payload


def _topic(resource: Mapping[str, Any], known: Mapping[str, Topic]) -> Topic:
    found = known.get(str(resource.get("criteria", "")))
    if found is None:
        raise _refused(
            "criteria is no search of a type and names no topic of this server",
            "criteria",
            "Write TYPE?PARAMETER=VALUE, or the canonical URL of a topic; /fhir/metadata lists them at Subscription.",
        )
    return found


def _filters(resource: Mapping[str, Any], topic: Topic, base: str) -> tuple[tuple[str, str], ...]:
    texts = _extensions(resource.get("_criteria") or {}, "backport-filter-criteria", "valueString")
    if len(texts) > MOST_FILTERS:
        raise _refused(f"more than {MOST_FILTERS} filters", "criteria.extension", "Write fewer.")
    return tuple(_filter(str(text), topic, base) for text in texts)


def _filter(text: str, topic: Topic, base: str) -> tuple[str, str]:
    where, (type, _, query) = "criteria.extension.valueString", text.partition("?")
    allowed = topic.filters.get(type)
    if allowed is None or len(text) > LONGEST_TEXT:
        raise _refused(
            "a filter is of no type of the topic", where, f"Write {topic.types[0]}?patient=Patient/ID or another of {', '.join(topic.filters)}."
        )  # fmt: skip
    try:
        found = topics.conditions(type, query, base)
    except InvalidSearch as error:
        raise _refused(
            f"a filter can't be used: {error.text}", where, error.mend or "Write TYPE?PARAMETER=VALUE."
        ) from None
    for condition in found:
        name = str(getattr(condition, "parameter", ""))
        if name not in allowed:
            raise _refused(f"the topic has no filter by {name[:60]}", where, f"It has: {', '.join(allowed)}.")
    return type, query


def _endpoint(channel: Mapping[str, Any]) -> str:
    if channel.get("type") not in CHANNELS:
        raise _refused("there is no such channel here", "channel.type", f"Write one of: {', '.join(CHANNELS)}.")
    endpoint = str(channel.get("endpoint") or "")
    if channel["type"] == WEBSOCKET:
        if endpoint or channel.get("header"):
            raise _refused("a websocket has no endpoint and no headers", "channel", "Leave out endpoint and header.")
        return ""
    if channel["type"] == EMAIL:
        return _mail_endpoint(channel, endpoint)
    if (
        not endpoint.startswith(("https://", "http://"))
        or len(endpoint) > LONGEST_TEXT
        or "@" in endpoint.split("?")[0]
    ):
        raise _refused("a rest-hook needs an endpoint", "channel.endpoint", "Write an https:// URL without a password.")
    return endpoint


def _mail_endpoint(channel: Mapping[str, Any], endpoint: str) -> str:
    if not _MAILTO.fullmatch(endpoint):
        raise _refused("an email goes to one address", "channel.endpoint", "Write mailto:NAME@DOMAIN and nothing more.")
    if channel.get("header"):
        raise _refused("the headers of a mail are the server's own", "channel.header", "Leave it out.")
    return endpoint


def _headers(channel: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    texts = channel.get("header", [])
    if len(texts) > MOST_HEADERS:
        raise _refused(f"more than {MOST_HEADERS} headers", "channel.header", "Write fewer.")
    found = tuple(_header(str(text), f"channel.header[{at}]") for at, text in enumerate(texts))
    if len({name.lower() for name, _ in found}) < len(found):
        raise _refused("a header comes twice", "channel.header", "Write each once.")
    return found


def _header(text: str, where: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not _NAME.fullmatch(name) or _CONTROL.search(value) or len(value) > LONGEST_TEXT:
        raise _refused("not a header", where, "Write Name: value, one header and one line each.")
    if name.lower() in OURS:
        raise _refused(f"the header {name} is the server's own", where, "Leave it out.")
    return name, value.strip()


def _payload(channel: Mapping[str, Any]) -> str:
    payload, allowed = str(channel.get("payload") or ""), MAILED if channel.get("type") == EMAIL else PAYLOADS
    if payload.replace("; ", ";") not in allowed:
        raise _refused("this payload is not sent", "channel.payload", f"Write one of: {', '.join(allowed)}.")
    return payload.replace("; ", ";")


def _content(channel: Mapping[str, Any]) -> str:
    found = _extensions(channel.get("_payload") or {}, "backport-payload-content", "valueCode")
    if len(found) != 1 or found[0] not in CONTENTS:
        raise _refused(
            "how much goes along is not said",
            "channel.payload.extension",
            f"Give backport-payload-content as valueCode once: {', '.join(CONTENTS)}.",
        )
    if channel.get("type") == EMAIL and found[0] == FULL and ATTACHED not in str(channel.get("payload")):
        raise _refused("the text of a mail holds no resources", "channel.payload", f"Write {MAILED[1]}, or id-only.")
    return str(found[0])


def _number(channel: Mapping[str, Any], name: str, value: str, least: int, most: int) -> int:
    found = _extensions(channel, name, value)
    if not found:
        return 0
    number = found[0] if len(found) == 1 else None
    if not isinstance(number, int) or isinstance(number, bool) or not least <= number <= most:
        raise _refused(f"{name} is out of bounds", "channel.extension", f"Give {value} once, {least} to {most}.")
    return number


def _end(resource: Mapping[str, Any]) -> int:
    text = resource.get("end")
    return moment_range(str(text))[1] if text else 0


def _extensions(holder: Mapping[str, Any], name: str, value: str) -> list[Any]:
    return [one.get(value) for one in holder.get("extension", ()) if one.get("url") == IG + name]
