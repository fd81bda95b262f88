"""Puts id and meta into a resource's bytes and leaves every other byte as the client sent it (RFC 8259)."""

from __future__ import annotations

import re

import msgspec

from suture.clock import instant
from suture.errors import InvalidSyntax

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'[ \t\r\n]*(,?)[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')


def splice(body: bytes, id: str, version: int, updated: int) -> bytes:
    """`body` with this id, meta.versionId and meta.lastUpdated; the rest of meta and all else stays byte for byte."""
    spans = _spans(body)
    stamp = b'"versionId":"%d","lastUpdated":"%b"' % (version, instant(updated).encode())
    quoted = msgspec.json.encode(id)
    edits: list[tuple[int, int, bytes]] = []
    missing = b""
    if "id" in spans:
        edits.append((*spans["id"], quoted))
    else:
        missing += b',"id":' + quoted
    if "meta" in spans:
        start, end = spans["meta"]
        edits.append((start, end, _meta(body[start:end], stamp)))
    else:
        missing += b',"meta":{' + stamp + b"}"
    if missing:
        place = spans["id"][1] if "id" in spans else spans["resourceType"][1]
        edits.append((place, place, missing))
    return _edited(body, edits)


def _edited(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    parts, at = [], 0
    for start, end, new in sorted(edits):
        parts += [body[at:start], new]
        at = end
    return b"".join([*parts, body[at:]])


def _spans(body: bytes) -> dict[str, tuple[int, int]]:
    """Where the values of resourceType, id and meta stand: msgspec says how long each value is, so we walk."""
    try:
        members = _members.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidSyntax("a resource must be one JSON object") from error
    spans: dict[str, tuple[int, int]] = {}
    at = body.index(b"{") + 1
    for name, value in members.items():
        key = _KEY.match(body, at)
        if key is None:
            raise InvalidSyntax("a resource has the same member twice")
        at = key.end() + len(value)
        if name in ("id", "meta", "resourceType"):
            spans[name] = (key.end(), at)
            if len(spans) == 3:
                break
    if "resourceType" not in spans:
        raise InvalidSyntax("a resource needs a resourceType", mend='Add "resourceType".')
    return spans


def _meta(meta: bytes, stamp: bytes) -> bytes:
    try:
        members = _members.decode(meta)
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise InvalidSyntax("meta must be an object", where="meta") from error
    kept = [
        msgspec.json.encode(name) + b":" + bytes(value)
        for name, value in members.items()
        if name not in ("versionId", "lastUpdated", "_versionId", "_lastUpdated")
    ]
    return b"{" + b",".join([stamp, *kept]) + b"}"
