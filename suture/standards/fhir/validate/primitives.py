"""What a value of each primitive type looks like: https://hl7.org/fhir/R4/datatypes.html#primitive

`FINE` answers yes or no and is called once a value, so most rows are a C function: a pattern's fullmatch raises TypeError
for what is no text, which the caller takes for a no.
"""

from __future__ import annotations

import re
from binascii import Error, a2b_base64
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

Fine = Callable[[Any], Any]

_LEAP = r"(?:\d\d(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29"
_YEAR = r"(?!0000)\d{4}"
_DAY = (
    rf"(?:{_YEAR}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))"
    rf"|(?!0000){_LEAP})"
)
_TIME = r"(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?"
_ZONE = r"(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))"
_TEXT = r"[^\x00-\x08\x0b\x0c\x0e-\x1f]"

PATTERNS: dict[str, str] = {
    "string": _TEXT + r"{1,1048576}",
    "markdown": _TEXT + r"{1,1048576}",
    "code": r"[^\x00-\x20]+(?:[ \t\r\n][^\x00-\x20]+)*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "uri": r"[^\x00-\x20]+",
    "url": r"[^\x00-\x20]+",
    "canonical": r"[^\x00-\x20]+",
    "oid": r"urn:oid:[0-2](?:\.(?:0|[1-9]\d*))+",
    "uuid": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    "date": rf"{_DAY}|{_YEAR}(?:-(?:0[1-9]|1[0-2]))?",
    "dateTime": rf"{_DAY}(?:T{_TIME}{_ZONE})?|{_YEAR}(?:-(?:0[1-9]|1[0-2]))?",
    "instant": rf"{_DAY}T{_TIME}{_ZONE}",
    "time": _TIME,
}

_decoded = partial(a2b_base64, strict_mode=True)
_SPACES = {ord(letter): None for letter in " \t\r\n"}


def fine_base64(value: Any) -> bool:
    try:
        return bool(_decoded(value if value.isalnum() else value.translate(_SPACES)))
    except (Error, ValueError, AttributeError):
        return False


def fine_boolean(value: Any) -> bool:
    return type(value) is bool


def fine_integer(value: Any) -> bool:
    return type(value) is int and -2147483648 <= value <= 2147483647


def fine_unsigned(value: Any) -> bool:
    return type(value) is int and 0 <= value <= 2147483647


def fine_positive(value: Any) -> bool:
    return type(value) is int and 0 < value <= 2147483647


def fine_decimal(value: Any) -> bool:
    kind = type(value)
    return kind is Decimal or kind is int or (kind is float and value - value == 0)


FINE: dict[str, Fine] = {name: re.compile(pattern, re.ASCII).fullmatch for name, pattern in PATTERNS.items()} | {
    "base64Binary": fine_base64,
    "boolean": fine_boolean,
    "integer": fine_integer,
    "unsignedInt": fine_unsigned,
    "positiveInt": fine_positive,
    "decimal": fine_decimal,
}

# type -> the JSON it is written in, and how to write it
MENDS: dict[str, tuple[str, str]] = {
    "string": ("text", "Write at most 1,048,576 characters, none of them a control character."),
    "markdown": ("text", "Write at most 1,048,576 characters, none of them a control character."),
    "code": ("text", "Write it without spaces at the ends and with single spaces inside."),
    "id": ("text", "Write 1 to 64 of A-Z, a-z, 0-9, '-' and '.'."),
    "uri": ("text", "Write it without spaces."),
    "url": ("text", "Write it without spaces."),
    "canonical": ("text", "Write it without spaces."),
    "oid": ("text", "Write urn:oid:1.2.3."),
    "uuid": ("text", "Write urn:uuid: and a UUID in small letters."),
    "date": ("text", "Write YYYY, YYYY-MM or YYYY-MM-DD, a day that exists."),
    "dateTime": ("text", "Write YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz, a day that exists."),
    "instant": ("text", "Write YYYY-MM-DDThh:mm:ss+zz:zz, a day that exists."),
    "time": ("text", "Write hh:mm:ss."),
    "base64Binary": ("text", "Write base64 with its padding."),
    "boolean": ("true or false", "Write true or false without quotes."),
    "integer": ("number", "Write a whole number from -2147483648 to 2147483647 without quotes."),
    "unsignedInt": ("number", "Write a whole number from 0 to 2147483647 without quotes."),
    "positiveInt": ("number", "Write a whole number from 1 to 2147483647 without quotes."),
    "decimal": ("number", "Write a number without quotes."),
}

# required bindings of R4 whose codes stand elsewhere; what can be checked is their form
FORMS: dict[str, tuple[Fine, str]] = {
    "http://hl7.org/fhir/ValueSet/mimetypes": (
        re.compile(r"[A-Za-z0-9!#$&^_.+-]+(?:/[A-Za-z0-9!#$&^_.+*-]+(?:[ ]?;[ ]?[^\x00-\x1f]+)?)?").fullmatch,
        "a MIME type such as application/pdf",
    ),
    "http://hl7.org/fhir/ValueSet/currencies": (
        re.compile(r"[A-Z]{3}").fullmatch,
        "a currency of ISO 4217 such as USD",
    ),
}
