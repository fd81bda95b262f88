"""How far an app's wish reaches: what it asks, cut down to what it was registered for (SMART App Launch 2.2, scopes).

https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from urllib.parse import parse_qsl

from suture.access import smart
from suture.access.caller import Scope
from suture.errors import SutureError

# words that are no scope on a resource type
WORDS = (
    "openid",
    "profile",
    "fhirUser",
    "launch",
    "launch/patient",
    "launch/encounter",
    "offline_access",
    "online_access",
)
MOST = 200  # scopes in one request
LONGEST = 2000  # characters of one


def read(word: str) -> Scope | None:
    """The scope of a word; None for a word that is none, which is never granted (a scope never widens)."""
    try:
        return smart.parse_one(word)
    except SutureError:
        return None


def known(word: str) -> bool:
    """Whether a word means something here."""
    return word in WORDS or (len(word) <= LONGEST and read(word) is not None)


def narrowed(asked: Iterable[str], allowed: Iterable[str], contexts: Sequence[str] = ()) -> tuple[str, ...]:
    """What of `asked` lies within `allowed`, both as SMART's words, in the order of the wish.

    A word that is allowed as it stands keeps its spelling; one that reaches further is cut down, letter by letter, type by
    type, condition by condition. With `contexts` (`system`) other words and scopes fall away.
    """
    limits = list(dict.fromkeys(allowed))
    scopes = [scope for word in limits if word not in WORDS and (scope := read(word))]
    granted: dict[str, None] = {}
    for word in list(dict.fromkeys(asked))[:MOST]:
        granted.update(dict.fromkeys(_within(word, limits, scopes, contexts)))
    return tuple(granted)


def _within(word: str, limits: Sequence[str], scopes: Sequence[Scope], contexts: Sequence[str]) -> list[str]:
    if word in WORDS:
        return [word] if word in limits and not contexts else []
    wish = read(word)
    if wish is None or (contexts and wish.context not in contexts):
        return []
    parts = [part for limit in scopes if (part := cut(wish, limit))]
    if wish in parts:
        return [word]
    return [str(part) for part in parts if not any(other != part and _holds(other, part) for other in parts)]


def cut(wish: Scope, limit: Scope) -> Scope | None:
    """What both scopes open; None when that is nothing, or can't be said in one scope."""
    letters = "".join(letter for letter in wish.letters if letter in limit.letters)
    if wish.context != limit.context or not letters or ("*" not in (wish.type, limit.type) and wish.type != limit.type):
        return None
    type = limit.type if wish.type == "*" else wish.type
    query = _joined(wish.query, limit.query)
    return None if query is None else Scope(wish.context, type, letters, query)


def _joined(wish: str, limit: str) -> str | None:
    """Both conditions as one query when one holds the other; None when neither does."""
    if not wish or not limit:
        return wish or limit
    ours, theirs = set(parse_qsl(wish, keep_blank_values=True)), set(parse_qsl(limit, keep_blank_values=True))
    if theirs <= ours:
        return wish
    return limit if ours <= theirs else None


def _holds(wide: Scope, narrow: Scope) -> bool:
    """Whether all that `narrow` opens is open by `wide`."""
    return cut(narrow, wide) == narrow
