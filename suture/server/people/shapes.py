"""What the views of people are made of: pages are drawn from these, /api answers them."""

from __future__ import annotations

from typing import TypedDict


class PersonRow(TypedDict):
    """A person in a list."""

    id: str
    login: str
    name: str
    roles: list[str]
    active: bool
    second_factor: bool
    must_have_one: bool
    created: str


class InvitationRow(TypedDict):
    """An invitation nobody has accepted yet."""

    id: str
    kind: str
    name: str
    login: str
    roles: list[str]
    expires: str


class PeopleView(TypedDict):
    """People and open invitations."""

    people: list[PersonRow]
    invitations: list[InvitationRow]


class FactorRow(TypedDict):
    """A second factor of a person."""

    kind: str
    name: str
    created: str
    used: str


class SessionRow(TypedDict):
    """Where a person is signed in."""

    id: str
    address: str
    browser: str
    began: str
    seen: str


class ProxyRow(TypedDict):
    """Somebody who stands in for a patient."""

    id: str
    user: str
    name: str
    patient: str
    relation: str
    since: str
    until: str
    ended: str


class PersonView(TypedDict):
    """One person with second factors, sessions, and for whom it stands in or who stands in for it."""

    person: PersonRow
    patient: str
    factors: list[FactorRow]
    recovery_codes: int
    sessions: list[SessionRow]
    proxies: list[ProxyRow]
    stands_in_for: list[ProxyRow]


class Invited(TypedDict):
    """A new invitation: link and code are shown only now."""

    link: str
    code: str


class Changed(TypedDict):
    """What a change came to."""

    said: str
