"""Puts id and meta into a resource's bytes and leaves every other byte as the client sent it (RFC 8259)."""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from suture.clock import instant
from suture.errors import InvalidSyntax


class _Head(msgspec.Struct):
    """The members that matter here; the rest is skipped over."""

    resourceType: msgspec.Raw = msgspec.Raw()
    id: msgspec.Raw = msgspec.Raw()
    meta: msgspec.Raw = msgspec.Raw()


_head = msgspec.json.Decoder(_Head)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_KEY = re.compile(rb'[ \t\r\n]*(,?)[ \t\r\n]*("(?:[^"\\]|\\.)*")[ \t\r\n]*:[ \t\r\n]*')
_USUAL = re.compile(
    rb'\s*\{\s*"resourceType"\s*:\s*("[A-Za-z]+")(?:\s*,\s*"id"\s*:\s*("[^"\\]*"))?(?:\s*,\s*"meta"\s*:\s*(?=\{))?'
)
# as this server writes: a body without id and meta, and one that has both already
_BARE = re.compile(rb'\{"resourceType":"[A-Za-z]+"')
_OWN = re.compile(
    rb'(\{\s*"resourceType"\s*:\s*"[A-Za-z]+"\s*,\s*"id"\s*:\s*)"[^"\\]*"'
    rb'(\s*,\s*"meta"\s*:\s*\{)"versionId":"[0-9]*","lastUpdated":"[^"\\]*"(?=(\})|,"(?:profile|security|tag|source|extension)")'
)
Span = tuple[int, int]


def splice(body: bytes, id: str, version: int, updated: int) -> bytes:
    """`body` with this id, meta.versionId and meta.lastUpdated; the rest of meta and all else stays byte for byte."""
    stamp = b'"versionId":"%d","lastUpdated":"%b"' % (version, _instant(updated))
    quoted = msgspec.json.encode(id)
    own = _OWN.match(body)
    if own is not None and (own[3] or _plain(body)):
        return b"".join((own[1], quoted, own[2], stamp, body[own.end() :]))
    if b'"id"' not in body and b'"meta"' not in body and b"\\u00" not in body and body.endswith(b"}"):
        bare = _BARE.match(body)
        if bare is not None:
            return b'%b,"id":%b,"meta":{%b}%b' % (bare[0], quoted, stamp, body[bare.end() :])
    return _edited(body, _edits(body, quoted, stamp))


def _plain(body: bytes) -> bool:
    """Whether meta has nothing that goes with the old version, as far as a look at the whole body tells."""
    return b'"_versionId"' not in body and b'"_lastUpdated"' not in body and b"\\u00" not in body


def _edits(body: bytes, quoted: bytes, stamp: bytes) -> list[tuple[int, int, bytes]]:
    """What changes where, in a body of whatever form."""
    spans = _spans(body)
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
    return edits


@lru_cache(64)
def _instant(updated: int) -> bytes:
    return instant(updated).encode()


def _spans(body: bytes) -> dict[str, Span]:
    """Where the values of resourceType, id and meta stand: id is nearly always the second member, meta the third."""
    try:
        head = _head.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidSyntax("a resource must be one JSON object", where="line 1, column 1") from error
    usual = _USUAL.match(body)
    if usual is None or bool(usual[2]) != bool(head.id):
        return _walked(body)
    spans = {"resourceType": usual.span(1)}
    if head.id:
        spans["id"] = usual.span(2)
    if head.meta:
        start = _meta_at(body, usual)
        if start < 0:
            return _walked(body)
        spans["meta"] = (start, start + len(head.meta))
    return spans


def _meta_at(body: bytes, usual: re.Match[bytes]) -> int:
    """Where the value of meta begins: behind what the usual beginning found, or behind the only key of that name."""
    if usual.end() != usual.end(2 if usual[2] else 1):
        return usual.end()
    if body.count(b'"meta"') != 1 or b"\\u00" in body:  # another one is nested, or the key is written with escapes
        return -1
    key = _KEY.match(body, body.index(b'"meta"'))
    return key.end() if key else -1


def _walked(body: bytes) -> dict[str, Span]:
    """The same for any order: msgspec says how long each value is, so we walk from one to the next."""
    members = _members.decode(body)
    spans: dict[str, Span] = {}
    wanted = sum(name in members for name in ("id", "meta", "resourceType"))
    at = body.index(b"{") + 1
    for name, value in members.items():
        key = _KEY.match(body, at)
        if key is None:
            raise InvalidSyntax("a resource has the same member twice", where="resource")
        at = key.end() + len(value)
        if name in ("id", "meta", "resourceType"):
            spans[name] = (key.end(), at)
            if len(spans) == wanted:
                break
    if "resourceType" not in spans:
        raise InvalidSyntax("a resource needs a resourceType", where="resourceType", mend='Add "resourceType".')
    return spans


def _edited(body: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    parts, at = [], 0
    for start, end, new in sorted(edits):
        parts += [body[at:start], new]
        at = end
    return b"".join([*parts, body[at:]])


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
