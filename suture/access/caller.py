"""Who is calling, and what was granted to that caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Scope(NamedTuple):
    """One granted scope: in whose name, on which type, with which interactions (letters of `cruds`).

    `query` narrows it to what a search finds (SMART 2.2, granular scopes); empty for the whole type.
    """

    context: str  # patient | user | system
    type: str  # a resource type or *
    letters: str  # a part of "cruds", in that order
    query: str = ""  # as written behind the `?`

    def __str__(self) -> str:
        narrowed = f"?{self.query}" if self.query else ""
        return f"{self.context}/{self.type}.{self.letters}{narrowed}"


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody or something that calls; `patient` is the id whose compartment `patient/` scopes open.

    A person who uses an app is a caller of kind `user` with the app in `client`; a program that comes in its own name is
    one of kind `client`.
    """

    id: str
    kind: str  # user | client | flow | system | anonymous
    name: str
    scopes: tuple[Scope, ...] = ()
    patient: str | None = None
    roles: tuple[str, ...] = ()
    address: str = ""  # where the request came from, for the audit
    permissions: frozenset[str] = frozenset()  # of the roles; see roles.PERMISSIONS
    client: str = ""  # the registered app or program through which it comes
    grant: str = ""  # the grant its token belongs to
    fhir_user: str = ""  # Practitioner/…, Patient/…, RelatedPerson/…: who the person is in the chart
    purpose: str = ""  # purpose of use (HL7 v3 PurposeOfUse), such as TREAT, HPAYMT, BTG
    encounter: str = ""  # the launch's encounter
    clearance: frozenset[str] = frozenset()  # security labels that do not hide a row from it; * for all
    bounds: frozenset[str] = frozenset()  # compartments beyond which it sees nothing: practitioner, encounter
    organizations: tuple[str, ...] = ()  # Organization/…: for whom it works, as a Consent may name it
    glass: frozenset[str] = frozenset()  # patients for whom it broke the glass, just now
    strong: int = 0  # of a person in a session: when it last proved, in the best way it has, who it is


ANONYMOUS = Caller("anonymous", "anonymous", "anonymous")
