"""Steps that send: each makes the exact bytes once, so that every attempt and every later look sees the same."""

from __future__ import annotations

import re
from typing import Any

from suture.connectors.headers import checked_headers
from suture.engine.expressions import written
from suture.engine.plan import Step
from suture.engine.subject import as_bytes, as_hl7
from suture.engine.walk import DONE, Send, Walk, Walking
from suture.errors import Invalid
from suture.standards.hl7v2 import message as hl7v2
from suture.standards.hl7v2 import place
from suture.standards.hl7v2.escapes import escape


def http(walk: Walk, step: Step) -> Walking:
    given, where = step.with_, step.id
    body, media = _body(walk, step)
    headers = (
        {"Content-Type": media, **walk.render(given["headers"] or {}, f"{where}: headers")}
        if body
        else walk.render(given["headers"] or {}, f"{where}: headers")
    )
    query = walk.render(given["query"] or {}, f"{where}: query")
    head = {
        "method": given["method"],
        "path": written(walk.render(given["path"] or "", f"{where}: path")),
        "query": [
            [name, written(v)] for name, value in query.items() for v in (value if isinstance(value, list) else [value])
        ],
        "headers": checked_headers({name: written(value) for name, value in headers.items()}),
        "idempotency_header": given["idempotency_header"],
        "on_ambiguous": given["on_ambiguous"],
    }
    walk.result(step, (yield from walk.ask(Send(step, "http.send", str(given["connection"]), head, body))))
    return DONE


def _body(walk: Walk, step: Step) -> tuple[bytes, str]:
    """The bytes of the body and their media type."""
    given = step.with_["body"]
    if step.with_["method"] in ("GET", "DELETE") and given is None:
        return b"", ""
    content = walk.content if given is None else walk.render(given, f"{step.id}: body")
    media = str(step.with_["content_type"] or "")
    if isinstance(content, str):
        return content.encode(), media or "text/plain; charset=utf-8"
    if isinstance(content, hl7v2.Message):
        return content.encode(), media or "application/hl7-v2"
    fhir = isinstance(content, dict) and "resourceType" in content
    return as_bytes(_plain(content)), media or ("application/fhir+json" if fhir else "application/json")


def _plain(value: Any) -> Any:
    """A structure whose FHIRPath values (dates, quantities) are written as JSON writes them."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return (
        value
        if value is None or isinstance(value, bool | int | float | str) or type(value).__name__ == "Decimal"
        else str(value)
    )


def mllp(walk: Walk, step: Step) -> Walking:
    given = step.with_
    content = walk.content if isinstance(walk.content, hl7v2.Message | str) else walk.subject.original
    message = as_hl7(walk.chosen(given["from"], content), step.id)
    fields = {name: written(value) for name, value in walk.render(given["set"] or {}, f"{step.id}: set").items()}
    body = with_fields(message, fields) if fields else message.encode()
    head = {
        "control_id": hl7v2.parse(body).control_id if fields else message.control_id,
        "on_ambiguous": given["on_ambiguous"],
    }
    walk.result(step, (yield from walk.ask(Send(step, "mllp.send", str(given["connection"]), head, body))))
    return DONE


_FIELD = re.compile(r"[A-Z][A-Z0-9]{2}-\d+")


def with_fields(message: hl7v2.Message, fields: dict[str, str]) -> bytes:
    """The message with whole fields of the first segment of a name replaced; values are escaped."""
    lines = [segment.text for segment in message.segments]
    names = message.names
    for name, value in fields.items():
        if not _FIELD.fullmatch(name) or name in ("MSH-1", "MSH-2"):
            raise Invalid(
                "only whole fields can be set, not MSH-1 or MSH-2", where=name, mend="Write such as MSH-5 or PID-3."
            )
        at = place.read(name)
        if at.segment not in names:
            raise Invalid("the message has no such segment", where=name, mend="Set fields of segments that are there.")
        row = names.index(at.segment)
        parts = lines[row].split(message.separators.field)
        index = at.field - 1 if at.segment == "MSH" else at.field
        parts += [""] * (index + 1 - len(parts))
        parts[index] = escape(value, message.separators)
        lines[row] = message.separators.field.join(parts)
    try:
        return ("\r".join(lines) + "\r").encode(message.charset)
    except UnicodeEncodeError:
        raise Invalid(
            "a value cannot be written in the message's character set",
            where="MSH-18",
            mend="Set MSH-18 to UNICODE UTF-8.",
        ) from None


def file(walk: Walk, step: Step) -> Walking:
    given = step.with_
    name = written(walk.render(given["name"], f"{step.id}: name"))
    if given["body"] is not None:
        content = walk.render(given["body"], f"{step.id}: body")
    else:
        content = walk.chosen(given["from"], walk.content)
    head = {"name": name}
    walk.result(
        step,
        (
            yield from walk.ask(
                Send(step, "file.write", str(given["connection"]), head, as_bytes(_plain_or_hl7(content)))
            )
        ),
    )
    return DONE


def _plain_or_hl7(content: Any) -> Any:
    return content if isinstance(content, hl7v2.Message) else _plain(content)
