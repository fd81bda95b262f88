"""Roles and permissions: deny by default, and the table the docs show."""

from __future__ import annotations

import pytest

from suture.access import policy
from suture.access.caller import ANONYMOUS, Caller
from suture.access.roles import INFRASTRUCTURE, PERMISSIONS, ROLES, permissions
from suture.errors import Forbidden, Unauthenticated
from suture.server.routes import TABLE
from tests.docs import ROOT

PHI = {"console.see", "phi.reveal", "messages.replay", "chart.use", "own.use", "ehi.export", "audit.read"}


def test_the_one_who_runs_the_machine_sees_nobody() -> None:
    assert not ROLES[INFRASTRUCTURE].permissions & PHI
    assert ROLES[INFRASTRUCTURE].scopes == ""


def test_an_unknown_role_may_nothing() -> None:
    assert permissions(["root", "viewer"]) == ROLES["viewer"].permissions
    assert permissions(["root"]) == frozenset()


def test_a_viewer_may_not_reveal() -> None:
    viewer = Caller("user:1", "user", "vera", permissions=permissions(["viewer"]))
    policy.require_permission(viewer, "console.see")
    with pytest.raises(Forbidden, match=r"'vera' lacks the permission 'phi\.reveal'"):
        policy.require_permission(viewer, "phi.reveal")


def test_nobody_is_asked_to_sign_in() -> None:
    with pytest.raises(Unauthenticated, match="needs a session"):
        policy.require_permission(ANONYMOUS, "console.see")


def test_every_address_asks_for_a_permission_that_there_is() -> None:
    assert {route.access for route in TABLE} - PERMISSIONS.keys() <= {"anonymous", "caller"}


@pytest.mark.parametrize("name", [*ROLES, *PERMISSIONS])
def test_the_docs_name_each(name: str) -> None:
    assert f"| `{name}` |" in (ROOT / "docs" / "access.md").read_text()
