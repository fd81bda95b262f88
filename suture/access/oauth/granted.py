"""What an app can get of what it asked for: as far as it was registered and as far as the person may, all three at once.

Words keep the spelling in which they were asked for. https://hl7.org/fhir/smart-app-launch/scopes-and-launch-context.html
"""

from __future__ import annotations

from collections.abc import Iterable

from suture.access.caller import Scope
from suture.access.oauth.scopes import WORDS, cut, known, narrowed, read

OPENID, FHIR_USER, PROFILE = "openid", "fhirUser", "profile"
OFFLINE, ONLINE = "offline_access", "online_access"
LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER = "launch", "launch/patient", "launch/encounter"
_V1 = {"rs": "read", "cud": "write", "cruds": "*"}


def resource(word: str) -> Scope | None:
    """What a word opens in the chart; None for one that opens nothing there, or can't be kept to the letter."""
    return None if word in WORDS else read(word)


def words(text: str) -> tuple[str, ...]:
    """The words that are known here, each once; a word that is not is passed over."""
    return tuple(word for word in dict.fromkeys(text.split(" ")) if known(word))


def grantable(asked: Iterable[str], registered: Iterable[str], may: tuple[Scope, ...]) -> tuple[str, ...]:
    """The words an app can get of those it asked for; `may`: how far the person reaches. `system/` is no person's."""
    found: list[str] = []
    most = tuple(registered)
    for word in asked:
        for part in narrowed((word,), most):
            scope = resource(part)
            found += [part] if scope is None else _may(scope, word, may)
    return tuple(dict.fromkeys(found))


def _may(scope: Scope, asked: str, may: tuple[Scope, ...]) -> list[str]:
    if scope.context == "system":
        return []
    limits = [str(one._replace(context=scope.context)) for one in may]
    return [_spelled(one, asked) for one in narrowed((str(scope),), limits)]


def _spelled(word: str, asked: str) -> str:
    """As it was asked for, and in the same version of SMART when it became less."""
    scope = resource(word)
    if scope is None or scope == resource(asked):
        return asked
    old = asked.rpartition(".")[2] in _V1.values()
    if old and not scope.query and scope.letters in _V1:
        return f"{scope.context}/{scope.type}.{_V1[scope.letters]}"
    return word


def effective(granted: Iterable[str], registered: Iterable[str], may: tuple[Scope, ...]) -> tuple[Scope, ...]:
    """What granted words open today: for somebody who reaches one record only, a `user/` scope is a `patient/` one."""
    found: list[Scope] = []
    for word in narrowed(granted, registered):
        scope = resource(word)
        if scope is None or scope.context == "system":
            continue
        for one in may:
            part = cut(scope, one._replace(context=scope.context))
            if part is not None:
                found.append(part._replace(context="patient") if one.context == "patient" else part)
    return tuple(dict.fromkeys(found))


def subset(wanted: Iterable[str], granted: Iterable[str]) -> bool:
    """Whether nothing is wanted beyond what was granted."""
    had = tuple(granted)
    scopes = [scope for word in had if (scope := resource(word)) is not None]
    return all(word in had or _covered(word, scopes) for word in wanted)


def _covered(word: str, scopes: list[Scope]) -> bool:
    """Whether each letter of a word is open by one of the scopes."""
    scope = resource(word)
    parts = [scope._replace(letters=letter) for letter in scope.letters] if scope else []
    return bool(parts) and all(any(cut(part, other) == part for other in scopes) for part in parts)


def opens_patient(granted: Iterable[str]) -> bool:
    """Whether there must be a patient in context."""
    return any(word == LAUNCH_PATIENT or _of_patient(resource(word)) for word in granted)


def _of_patient(scope: Scope | None) -> bool:
    return scope is not None and scope.context == "patient"
