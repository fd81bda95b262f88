"""What a look at the store says, for `suture doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing: `level` good, warning or bad; `mend` when there is something to do."""

    what: str
    level: str
    text: str
    mend: str = ""
