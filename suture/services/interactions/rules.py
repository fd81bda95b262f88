"""What a request asks for besides its content: preconditions and preferences.

https://hl7.org/fhir/R4/http.html#concurrency · https://www.rfc-editor.org/rfc/rfc7240
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from suture.errors import Invalid

_TAG = re.compile(r'(?:W/)?"?(\d{1,9})"?', re.ASCII)


@dataclass(frozen=True, slots=True)
class Conditions:
    """If-Match and If-None-Match as they were sent; empty: not sent."""

    if_match: str = ""
    if_none_match: str = ""

    @property
    def version(self) -> int | None:
        """The version the caller believes in; raises Invalid when If-Match names none."""
        return version_of(self.if_match) if self.if_match else None

    @property
    def only_new(self) -> bool:
        """`If-None-Match: *`: only if there is none yet."""
        return self.if_none_match.strip() == "*"


def version_of(tag: str) -> int:
    """The version in `W/"3"`; raises Invalid."""
    found = _TAG.fullmatch(tag.strip())
    if not found:
        raise Invalid("If-Match names no version", where="If-Match", mend='Write If-Match: W/"3", as in the ETag.')
    return int(found[1])


@dataclass(frozen=True, slots=True)
class Preferences:
    """The Prefer header: what comes back from a write, and what is done with unknown search parameters."""

    returns: str = "representation"  # representation | minimal | OperationOutcome
    lenient: bool = False
    stated: bool = False  # `returns` was said, not assumed

    @staticmethod
    def read(text: str) -> Preferences:
        """Reads a Prefer header; what isn't known is passed over, as RFC 7240 asks."""
        if not text:
            return _USUAL
        wishes = {p.split(";")[0].strip().replace(" ", "") for p in text[:1000].split(",")}
        returns = next((r for r in ("minimal", "representation", "OperationOutcome") if f"return={r}" in wishes), "")
        return Preferences(returns or "representation", "handling=lenient" in wishes, bool(returns))


_USUAL = Preferences()
