"""Bundles written by splicing stored bodies: no resource is parsed on its way out.

https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from suture.clock import instant
from suture.standards.fhir import json, outcome
from suture.store import sound
from suture.store.resources import Row

Link = tuple[str, str]


def searchset(
    base: str,
    entries: Iterable[tuple[Row, bytes, str]],
    links: Sequence[Link],
    total: int | None,
    extra: Iterable[bytes] = (),
) -> bytes:
    """`entries`: row, body to show, search mode; `extra`: entries that are ready. What has no body is named by an OperationOutcome."""
    place, entries = base.encode(), list(entries)
    damaged = [row for row, body, _ in entries if not body]
    parts = [
        b'{"fullUrl":"%s/%s/%s","resource":%s,"search":{"mode":"%s"}}'
        % (place, row.type.encode(), row.id.encode(), body, mode.encode())
        for row, body, mode in entries
        if body
    ]
    unread = [b'{"resource":%s,"search":{"mode":"outcome"}}' % lost(damaged)] if damaged else []
    return _bundle("searchset", links, total, [*parts, *unread, *extra])


def history(base: str, rows: Iterable[Row], links: Sequence[Link], total: int | None) -> bytes:
    """Versions, newest first; a deletion has no resource."""
    return _bundle("history", links, total, [_version(base, row) for row in rows])


def _version(base: str, row: Row) -> bytes:
    place = f"{row.type}/{row.id}"
    resource = b'"resource":%s,' % row.body if row.body else b""
    damaged = lost([row]) if row.damaged else b""
    url = row.type if row.method == "POST" else place
    status = {"POST": "201", "DELETE": "204"}.get(row.method, "201" if row.version == 1 else "200")
    return b'{"fullUrl":"%s/%s",%s"request":{"method":"%s","url":"%s"},"response":%s}' % (
        base.encode(),
        place.encode(),
        resource,
        row.method.encode(),
        url.encode(),
        _response(status, row, outcome=damaged),
    )


def lost(rows: Iterable[Row]) -> bytes:
    """The OperationOutcome that names what can't be read."""
    errors = (sound.refusal(f"{row.type}/{row.id}") for row in rows)
    return json.write(outcome.outcome([issue for error in errors for issue in error.issues]))


def response(status: int, row: Row | None, base: str = "", resource: bytes = b"", outcome: bytes = b"") -> bytes:
    """One entry of a batch-response or transaction-response."""
    if row is None or (row.deleted and not resource):
        stamp = b'{"status":"%d"%s}' % (status, b',"outcome":' + outcome if outcome else b"")
        return b'{"response":%s}' % stamp if not resource else b'{"resource":%s,"response":%s}' % (resource, stamp)
    place = f"{row.type}/{row.id}"
    shown = b'"resource":%s,' % resource if resource else b""
    location = f"{place}/_history/{row.version}"
    return b'{"fullUrl":"%s/%s",%s"response":%s}' % (
        base.encode(),
        place.encode(),
        shown,
        _response(str(status), row, location),
    )


def _response(status: str, row: Row, location: str = "", outcome: bytes = b"") -> bytes:
    where = f'"location":"{location}",' if location else ""
    stamp = f'{{"status":"{status}",{where}"etag":"W/\\"{row.version}\\"","lastModified":"{instant(row.updated)}"'
    return stamp.encode() + (b',"outcome":' + outcome if outcome else b"") + b"}"


def responses(kind: str, entries: Sequence[bytes], links: Sequence[Link] = ()) -> bytes:
    """A batch-response or transaction-response."""
    return _bundle(kind, links, None, entries)


def _bundle(kind: str, links: Sequence[Link], total: int | None, entries: Sequence[bytes]) -> bytes:
    head = [b'{"resourceType":"Bundle","type":"%s"' % kind.encode()]
    if total is not None:
        head.append(b',"total":%d' % total)
    if links:
        head.append(b',"link":' + json.write([{"relation": name, "url": url} for name, url in links]))
    if entries:
        head += [b',"entry":[', b",".join(entries), b"]"]
    return b"".join([*head, b"}"])
