"""What to narrow in a search that took too long, from the names of its parameters: their values are nobody's business."""

from __future__ import annotations

import re
from collections.abc import Sequence

from suture.standards.fhir.search_parse import shown

_DEAR = re.compile(
    r":contains$|:text$|:not$|:not-in$|:missing$|^_has:|\.|^_sort$|^_total$|^_content$|^_text$|^_filter$|^_summary$"
)
_LEADS = re.compile(r"^(patient|subject|encounter|identifier|_id|code|date)(:|$)")
MOST = 5  # that are named


def advice(pairs: Sequence[tuple[str, str]]) -> str:
    """The parameters that cost most, and what would lead to fewer rows."""
    names = list(dict.fromkeys(shown(name) for name, _ in pairs))
    dear = [name for name in names if _DEAR.search(name)][:MOST]
    missing = [word for word in ("patient", "code", "date") if not any(_leads(name, word) for name in names)]
    parts = [f"Leave out or narrow {', '.join(dear)}."] if dear else []
    if missing:
        parts.append(f"Name a {' or a '.join(missing)}.")
    return " ".join(parts) or "Ask for a shorter time or fewer values."


def _leads(name: str, word: str) -> bool:
    found = _LEADS.match(name)
    return found is not None and (found[1] == word or (word == "patient" and found[1] not in ("code", "date")))
