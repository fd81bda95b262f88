"""Reads and writes JSON strictly and exactly: no doubt about what was meant, 72.50 stays 72.50.

https://www.rfc-editor.org/rfc/rfc8259, https://hl7.org/fhir/R4/json.html

Reading is strict at the speed of two C libraries: msgspec reads, orjson writes the result back; only when the number of
quotes differs can a key have been there twice, and only then a slower reader looks for the place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
import orjson

from suture.errors import InvalidSyntax, TooLarge

MAX_SIZE = 64 * 1024 * 1024
MAX_DEPTH = 100
LONGEST_NUMBER = 64  # characters of a number with a fraction or exponent
LARGEST_EXPONENT = 308  # what a double can hold; 1e999999999 would be a bomb in the first addition
BEGIN = "line 1, column 1"  # of what is wrong with a document as a whole
PLAIN_KEY = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)
MARKS = {
    b"\xef\xbb\xbf": "It begins with a byte order mark; save it as UTF-8 without one.",
    b"\xff\xfe": "It is UTF-16; save it as UTF-8.",
    b"\xfe\xff": "It is UTF-16; save it as UTF-8.",
}


def read(raw: bytes, *, max_depth: int = MAX_DEPTH, max_size: int = MAX_SIZE, max_values: int = 0) -> dict[str, Any]:
    """The one object that `raw` holds; raises InvalidSyntax or TooLarge and names the place.

    `max_values` (0: any number) counts commas, one less than there are values and sometimes one in a text: it bounds the
    time for which the parser lets nobody else in.
    A number with a fraction or exponent becomes a Decimal, any other an int.
    """
    if len(raw) > max_size:
        raise TooLarge(
            f"The document has {len(raw)} bytes; {max_size} are allowed.", where=BEGIN, mend="Send it in parts."
        )
    if max_values and len(raw) > max_values and raw.count(b",") >= max_values:
        raise TooLarge(
            f"The document has more than {max_values} values.",
            where=BEGIN,
            mend="Send it in parts, or use suture import.",
        )
    try:
        value = _DECODER.decode(raw)
    except (ValueError, RecursionError) as error:
        raise _unreadable(raw, error, max_depth) from None
    if type(value) is not dict:
        raise InvalidSyntax("The document is not a JSON object.", where=BEGIN, mend="Send one {…}.")
    if raw.count(b"{") + raw.count(b"[") > max_depth:
        _check_depth(value, max_depth)
    _check_exact(raw, value)
    return value


def reread(raw: bytes) -> dict[str, Any]:
    """The same for bytes that `read` has read before: what is stored was checked when it came."""
    value: dict[str, Any] = _DECODER.decode(raw)
    return value


def write(value: Any) -> bytes:
    """Compact JSON; a Decimal is written as it was read."""
    try:
        raw = _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise InvalidSyntax("A text holds half of a surrogate pair.", mend="Remove the broken character.") from None
    if b"NaN" in raw or b"Infinity" in raw:
        _check_numbers(raw)
    return raw


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same, in whatever order their members stand; 1.0 and 1.00 do not."""
    return _SORTED.encode(one) == _SORTED.encode(other)


def _check_numbers(raw: bytes) -> None:
    """A Decimal that is no number is refused; the same word inside a text is not."""
    try:
        _DECODER.decode(raw)
    except ValueError:
        raise InvalidSyntax("A number is NaN or infinite.", mend="Leave it out.") from None


def _number(text: str) -> Decimal:
    if len(text) > 16 or "e" in text or "E" in text:
        return _odd_number(text)
    return Decimal(text)


def _odd_number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError("number out of range") from None
    if len(text) > LONGEST_NUMBER or abs(number.adjusted()) > LARGEST_EXPONENT:
        raise ValueError("number out of range")
    return number


_DECODER = msgspec.json.Decoder(float_hook=_number)
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_SORTED = msgspec.json.Encoder(decimal_format="number", order="sorted")


# --- what the parser does not refuse


def _check_exact(raw: bytes, value: dict[str, Any]) -> None:
    """No key twice, no integer past 64 bits."""
    try:
        again = orjson.dumps(value, default=Decimal.is_signed)  # any C function that turns a Decimal into something
    except TypeError:
        place = next((path for path, number in _integers(value) if number.bit_length() > 63), "")
        raise InvalidSyntax("A whole number is out of range.", where=place, mend="Use at most 18 digits.") from None
    # a lost key takes its quotes with it; only an escaped quote could hide that
    if raw.count(b'"') != again.count(b'"') or (b"\\" in raw and b"\\u0022" in raw):
        path = _path_of_twice(json.loads(raw, object_pairs_hook=_pairs, parse_float=str))
        if path:
            raise InvalidSyntax("The key is there twice in one object.", where=path, mend="Keep one of them.")


def _check_depth(value: dict[str, Any], limit: int) -> None:
    level: list[Any] = [value]
    for _ in range(limit):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if type(outer) is dict else outer)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise _too_deep(limit)


def _too_deep(limit: int) -> InvalidSyntax:
    return InvalidSyntax(
        f"Objects and lists stand more than {limit} deep in each other.", where=BEGIN, mend="Send a flatter one."
    )


class _Twice(dict[str, Any]):
    """An object in which `key` was there twice."""

    key = ""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen: set[str] = set()
    twice = _Twice()
    # the place of a doubled key inside a value that the doubling hides is found too
    twice.update((f"{key}[{n}]" if key in seen else key, value) for n, (key, value) in enumerate(pairs))
    for key, _ in pairs:
        if key in seen:
            twice.key = key
            break
        seen.add(key)
    return twice


def _path_of_twice(value: Any) -> str:
    return next((_join(path, inner.key) for path, inner in _walk(value, _root(value)) if isinstance(inner, _Twice)), "")


def _integers(value: Any) -> Iterator[tuple[str, int]]:
    return ((path, inner) for path, inner in _walk(value, _root(value)) if type(inner) is int)


def _root(value: Any) -> str:
    name = value.get("resourceType") if isinstance(value, dict) else ""
    return name if isinstance(name, str) and PLAIN_KEY.fullmatch(name) else ""


def _walk(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _walk(inner, _join(path, key))
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{n}]")


def _join(path: str, key: str) -> str:
    """A key that is no name may be anything, even something personal, so it is not told."""
    name = key if PLAIN_KEY.fullmatch(key) else "?"
    return f"{path}.{name}" if path else name


# --- telling where it is broken


def _unreadable(raw: bytes, error: Exception, max_depth: int) -> InvalidSyntax:
    for mark, mend in MARKS.items():
        if raw.startswith(mark):
            return InvalidSyntax("The document is not plain UTF-8.", where=BEGIN, mend=mend)
    if isinstance(error, RecursionError):
        return _too_deep(max_depth)
    if isinstance(error, UnicodeDecodeError):
        return InvalidSyntax("The text is not UTF-8.", where=_utf8_place(raw), mend="Save it as UTF-8.")
    if "out of range" in str(error):
        return InvalidSyntax("A number is out of range.", where=BEGIN, mend="Use at most 18 digits.")
    if "truncated" in str(error):
        place = _place(raw, len(raw))
        return InvalidSyntax("The document ends in the middle.", where=place, mend="Send it whole.")
    at = re.search(r"^(?:JSON is malformed: )?(.*) \(byte (\d+)\)$", str(error))
    what, where = (at[1], _place(raw, int(at[2]))) if at else (str(error), BEGIN)
    return InvalidSyntax(f"This is not JSON: {what}.", where=where, mend="Check quotes, commas and brackets.")


def _utf8_place(raw: bytes) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return _place(raw, error.start)
    return ""


def _place(raw: bytes, byte: int) -> str:
    before = raw[:byte]
    line = before.count(b"\n") + 1
    column = len(before[before.rfind(b"\n") + 1 :].decode(errors="replace")) + 1
    return f"line {line}, column {column}"
