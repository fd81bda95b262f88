"""`suture client`: a key for one patient's record is given only when that patient is here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.access.oauth.errors import OAuthRefused
from suture.cli import client, place
from suture.errors import Invalid, NotFound, SutureError
from suture.store import accounts, apps, audit, resources
from suture.store.database import Database
from tests.access.oauth.proofs import ec, published
from tests.commands import run
from tests.stores import settings


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("SUTURE_DATABASE", settings(tmp_path).database)
    monkeypatch.setenv("SUTURE_KEY_FILE", str(settings(tmp_path).key_file))
    return Database.open(settings(tmp_path))


def test_a_patient_that_is_not_here_gets_no_key(tmp_path: Path, database: Database) -> None:
    asked = ("add", "app", "--scope", "patient/*.rs", "--project", str(tmp_path), "--patient")
    for id in ("nosuch", "Patient/p1"):
        with pytest.raises(NotFound, match="--patient: no such Patient here") as error:
            run(client.app, *asked, id)
        assert id not in str(error.value)
    database.write_now(lambda tx: resources.put(tx, "Patient", "p1", b'{"resourceType":"Patient","id":"p1"}'))
    assert "Its key, shown only now" in run(client.app, *asked, "p1").output
    database.write_now(lambda tx: resources.delete(tx, "Patient", "p1"))
    with pytest.raises(NotFound, match="no such Patient"):
        run(client.app, *asked, "p1")
    assert [one.name for one in accounts.clients(database.read)] == ["app"]
    database.close()


def test_an_app_from_registration_to_its_end(tmp_path: Path, database: Database) -> None:
    here = ("--project", str(tmp_path))
    asked = ("register", "Growth chart", "--kind", "symmetric", "--redirect", "https://app.example/back")
    scopes = ("--scope", "openid launch/patient", "--scope", "patient/*.rs", "--contact", "it@app.example")
    made = json.loads(run(client.app, *asked, *scopes, "--json", *here).stdout)
    assert (made["status"], made["kind"], made["contacts"]) == ("pending", "confidential-symmetric", ["it@app.example"])
    assert run(client.app, *asked, *scopes, *here).exit_code == 0
    with pytest.raises(Invalid, match="several clients have this name"):
        run(client.app, "approve", "Growth chart", *here)
    told = run(client.app, "approve", made["client_id"], "--scope", "patient/*.rs", *here).stdout
    assert told.splitlines()[0] == "Client 'Growth chart' is approved. Its client id:"
    shown = run(client.app, "show", made["client_id"], "--json", *here).stdout
    assert json.loads(shown)["scope"] == "patient/*.rs"
    assert made["client_secret"] not in shown + run(client.app, "show", made["client_id"], *here).stdout
    turned = json.loads(run(client.app, "rotate-secret", made["client_id"], "--keep", "1d", "--json", *here).stdout)
    now = database.clock.micros()
    for secret in (made["client_secret"], turned["client_secret"]):
        assert apps.has_secret(database.read, made["client_id"], secret, now)
    listed = run(client.app, "list", "--json", *here).stdout
    assert [(one["name"], one["state"]) for one in json.loads(listed)] == [
        ("Growth chart", "approved"),
        ("Growth chart", "pending"),
    ]
    assert turned["client_secret"] not in listed
    ended = run(client.app, "revoke", made["client_id"], "--reason", "contract over", *here).stdout
    assert ended == "Client 'Growth chart' is ended.\n"
    assert not apps.has_secret(database.read, made["client_id"], turned["client_secret"], now)
    who = {entry.row.who for entry in audit.find(database.read) if entry.row.what.endswith(("-client", "-secret"))}
    assert who == {place.who()}
    database.close()


def test_a_program_with_its_own_keys(tmp_path: Path, database: Database) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(published(ec())))
    here = ("--project", str(tmp_path), "--approve", "--json")
    made = run(client.app, "register", "Registry", "--backend", "--jwks", str(keys), "--scope", "system/*.rs", *here)
    found = apps.get(database.read, json.loads(made.stdout)["client_id"])
    assert found is not None
    assert (found.status, found.kind, found.grant_types) == ("approved", "confidential-asymmetric", ("client_credentials",))  # fmt: skip
    keys.write_text(json.dumps({"keys": [ec().as_dict(private=True)]}))
    with pytest.raises(OAuthRefused, match="private or secret key"):
        run(client.app, "register", "Other", "--backend", "--jwks", str(keys), "--scope", "system/*.rs", *here)
    url = run(client.app, "register", "Third", "--backend", "--jwks-url", "http://127.0.0.1:9/k", "--scope", "system/*.rs", *here)  # fmt: skip
    assert json.loads(url.stdout)["jwks_uri"] == "http://127.0.0.1:9/k"
    database.close()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "nobody"), "no registered client"),
        (("approve", "nobody"), "no registered client"),
        (("rotate-secret", "nobody"), "no registered client"),
        (("register", "x", "--scope", "openid", "--kind", "secret"), "no such kind"),
        (("register", "x", "--scope", "openid"), "redirect_uris are missing"),
        (("register", "x", "--scope", "admin", "--redirect", "https://a.example/"), "not a scope that is known here"),
        (("revoke", "nobody"), "no active client of that name"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, database: Database, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(SutureError, match=said):
        run(client.app, *arguments, "--project", str(tmp_path))
    database.close()
