"""Who is calling, and what was granted to that caller."""

from __future__ import annotations

from dataclasses import dataclass

ADMINISTRATOR = "administrator"


@dataclass(frozen=True, slots=True)
class Scope:
    """One granted scope: in whose name, on which type, with which interactions (letters of `cruds`)."""

    context: str  # patient | user | system
    type: str  # a resource type or *
    letters: str  # a part of "cruds", in that order

    def __str__(self) -> str:
        return f"{self.context}/{self.type}.{self.letters}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody or something that calls; `patient` is the id whose compartment `patient/` scopes open."""

    id: str
    kind: str  # user | client | flow | system | anonymous
    name: str
    scopes: tuple[Scope, ...] = ()
    patient: str | None = None
    roles: tuple[str, ...] = ()
    address: str = ""  # where the request came from, for the audit
    request: str = ""  # the request's id, for the audit


ANONYMOUS = Caller("anonymous", "anonymous", "anonymous")
