"""Functions on strings (http://hl7.org/fhirpath/N1/#string-manipulation)."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from typing import Any

import suture.standards.fhir.fhirpath.regex as regex
import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import TooCostly
from suture.standards.fhir.fhirpath.code import NONE, Code, Compiler, Evaluation, Row, Scope, unfit
from suture.standards.fhir.fhirpath.functions.scalars import MAX_TEXT, scalar, text, whole

_STRING, _BOOLEAN, _INTEGER = "System.String", "System.Boolean", "System.Integer"


def _substring(value: str, start: int, length: int | None = None) -> str | None:
    if not 0 <= start < len(value):
        return None
    return value[start:] if length is None else value[start : start + max(length, 0)]


def _replace(value: str, pattern: str, substitution: str) -> str:
    times = value.count(pattern) if pattern else len(value) + 1
    if len(value) + times * len(substitution) > MAX_TEXT:
        raise TooCostly(f"the text of replace() grows past {MAX_TEXT} characters")
    return value.replace(pattern, substitution) if pattern or not value else _between(value, substitution)


def _between(value: str, substitution: str) -> str:
    """An empty pattern stands before every character and at the end."""
    return substitution + substitution.join(value) + substitution


def _encode(value: str, form: str) -> str | None:
    raw = value.encode("utf-8", "replace")
    if form == "hex":
        return raw.hex()
    if form == "base64":
        return base64.b64encode(raw).decode()
    return base64.urlsafe_b64encode(raw).decode() if form == "urlbase64" else None


def _decode(value: str, form: str) -> str | None:
    try:
        raw = _DECODERS[form](value.encode()) if form in _DECODERS else None
        return None if raw is None else raw.decode()
    except (binascii.Error, UnicodeDecodeError):
        return None


_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "hex": binascii.unhexlify,
    "base64": lambda raw: base64.b64decode(raw, validate=True),
    "urlbase64": base64.urlsafe_b64decode,
}


_JSON_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_JSON = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def _escape(value: str, target: str) -> str | None:
    if target == "html":
        return html.escape(value, quote=True).replace("&#x27;", "&#39;")
    return json.dumps(value, ensure_ascii=False)[1:-1] if target == "json" else None


def _unescape(value: str, target: str) -> str | None:
    if target == "html":
        return html.unescape(value)
    return _JSON_ESCAPE.sub(_json_unescaped, value) if target == "json" else None


def _json_unescaped(match: re.Match[str]) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) == 5 else _JSON.get(code, code)


def _split(value: str, separator: str) -> list[Any]:
    return list(value.split(separator)) if separator else list(value)


def _join(compiler: Compiler, node: tree.Call, source: Code, scope: Scope) -> Code:
    values = compiler.values(source)
    between = compiler.values(compiler.compile(node.arguments[0], scope)) if node.arguments else None
    column = node.column

    def run(state: Evaluation, this: Any) -> list[Any]:
        items = [text(item) for item in values(state, this)]
        separators = between(state, this) if between else [""]
        if not items:
            return NONE
        if None in items or len(separators) > 1:
            raise unfit(column, "join() needs strings")
        separator = str(separators[0]) if separators else ""
        size = sum(map(len, items)) + len(separator) * len(items)
        state.spend(1 + size // 64)
        if size > MAX_TEXT:
            raise TooCostly(f"the text of join() grows past {MAX_TEXT} characters")
        return [separator.join(items)]

    return Code(run, _STRING, possible=(_STRING,))


ROWS: dict[str, Row] = {
    "indexOf": scalar(lambda value, part: value.find(part), text, text, kind=_INTEGER),
    "lastIndexOf": scalar(lambda value, part: value.rfind(part), text, text, kind=_INTEGER),
    "substring": scalar(_substring, text, whole, whole, optional=1, kind=_STRING),
    "startsWith": scalar(lambda value, part: value.startswith(part), text, text, kind=_BOOLEAN),
    "endsWith": scalar(lambda value, part: value.endswith(part), text, text, kind=_BOOLEAN),
    "contains": scalar(lambda value, part: part in value, text, text, kind=_BOOLEAN),
    "upper": scalar(str.upper, text, kind=_STRING),
    "lower": scalar(str.lower, text, kind=_STRING),
    "replace": scalar(_replace, text, text, text, kind=_STRING),
    "matches": scalar(regex.search, text, text, text, optional=1, kind=_BOOLEAN),
    "matchesFull": scalar(regex.full, text, text, text, optional=1, kind=_BOOLEAN),
    "replaceMatches": scalar(regex.replace, text, text, text, text, optional=1, kind=_STRING),
    "length": scalar(len, text, kind=_INTEGER),
    "toChars": scalar(list, text, kind=_STRING),
    "trim": scalar(str.strip, text, kind=_STRING),
    "split": scalar(_split, text, text, kind=_STRING),
    "join": Row(_join, 0, 1),
    "encode": scalar(_encode, text, text, kind=_STRING),
    "decode": scalar(_decode, text, text, kind=_STRING),
    "escape": scalar(_escape, text, text, kind=_STRING),
    "unescape": scalar(_unescape, text, text, kind=_STRING),
}
