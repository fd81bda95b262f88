"""How a person or program stands is written on the command line, and a person's app never has more than both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from suture import settings as settings_of
from suture.access import people, standing
from suture.access.caller import Caller
from suture.cli import access
from suture.clock import SYSTEM
from suture.errors import Invalid, InvalidFile
from suture.store import accounts, audit
from suture.store.database import Database
from tests.commands import run


def settings(folder: Path, **values: str) -> settings_of.Settings:
    return settings_of.read(folder, {"SUTURE_KEY_FILE": str(folder / "keys" / "key")}).with_values(**values)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "keys" / "key"))
    database = Database.open(settings(tmp_path))
    people.add_client(database, "lab", "user/*.rs", "", 0)
    database.write_now(lambda tx: accounts.create_user(tx, "ada", "Ada", "", roles=["clinician"]))
    database.close()
    return tmp_path


def test_it_is_set_shown_and_taken_away(here: Path) -> None:
    run(access.app, "set", "client:lab", "--clearance", "R,PSY", "--organization", "acme", "--project", str(here))
    shown = run(access.app, "show", "client:lab", "--json", "--project", str(here))
    assert orjson.loads(shown.stdout)[0] == {
        "whom": "client:lab", "clearance": "R,PSY", "restrict": "", "organization": "acme", "fhir_user": ""
    }  # fmt: skip
    run(access.app, "set", "client:lab", "--clearance", "", "--project", str(here))
    database = Database.open(settings(here))
    assert standing.written(database.read, "client:lab")["clearance"] == ""
    rows = [entry.row for entry in audit.find(database.read) if entry.row.what == "change-standing"]
    assert [row.detail for row in rows] == ["clearance", "clearance organization"]
    database.close()


@pytest.mark.parametrize(
    ("whom", "option", "value", "text"),
    [
        ("client:nobody", "--clearance", "R", "nobody of that name"),
        ("ada", "--clearance", "R", "nobody of that name"),
        ("user:ada", "--clearance", "TOP", "no such security label"),
        ("user:ada", "--restrict", "ward", "no such compartment"),
    ],
)
def test_what_is_not_understood_is_refused(here: Path, whom: str, option: str, value: str, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        run(access.app, "set", whom, option, value, "--project", str(here))
    assert caught.value.text == text


def test_an_app_has_what_both_have(here: Path) -> None:
    database = Database.open(settings(here))
    standing.change(database, "user:ada", {"clearance": "R,PSY,HIV", "restrict": "practitioner"})
    standing.change(database, "client:lab", {"clearance": "PSY,SUD"})
    ada = accounts.user_by_login(database.read, "ada")
    lab = next(c for c in accounts.clients(database.read) if c.name == "lab")
    assert ada is not None
    standings = standing.Standings(database, SYSTEM, settings(here))
    person = Caller(f"user:{ada.id}", "user", "Ada", roles=("clinician",))
    assert standings.stand(person).clearance == {"R", "PSY", "HIV"}
    through = standings.stand(replace(person, client=lab.id))
    assert (through.clearance, through.bounds) == ({"PSY"}, {"practitioner"})
    by_role = standing.Standings(database, SYSTEM, settings(here, access__clearance="clinician=SUD administrator=*"))
    assert by_role.stand(person).clearance == {"R", "PSY", "HIV", "SUD"}
    only = standing.Standings(database, SYSTEM, settings(here, access__encounter_only="true"))
    assert only.stand(replace(person, encounter="e1")).bounds == {"practitioner", "encounter"}
    assert standings.stand(replace(person, encounter="e1")).bounds == {"practitioner"}
    database.close()


def test_a_wrong_setting_stops_the_start(here: Path) -> None:
    database = Database.open(settings(here))
    with pytest.raises(InvalidFile, match=r"'access\.clearance': no such security label"):
        standing.Standings(database, SYSTEM, settings(here, access__clearance="clinician=TOP"))
    database.close()
