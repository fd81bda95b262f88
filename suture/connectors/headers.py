"""Headers that are safe to send: no name or value smuggles in another one (RFC 9110, 5.5)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from suture.errors import Invalid

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def checked_headers(headers: Mapping[str, Any]) -> dict[str, str]:
    """The headers; raises Invalid on a name or value that would smuggle in another header."""
    checked = {}
    for name, value in headers.items():
        text = str(value)
        if not TOKEN.fullmatch(name) or CONTROL.search(text):
            raise Invalid(
                "a header holds a line break or a forbidden character",
                where=f"headers.{name if TOKEN.fullmatch(name) else '?'}",
                mend="Take the control characters out.",
            )
        checked[name] = text
    return checked
