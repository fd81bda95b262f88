"""The key from a command: asked for once, shown nowhere, and exchanged without a key on this machine's disk."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from suture import crypto
from suture.cli import rotate_key
from suture.errors import Unstartable
from suture.settings import Settings
from suture.store import health, keys, rotate
from suture.store.database import Database
from tests.commands import run
from tests.stores import settings


def service(folder: Path, name: str) -> str:
    """A key service's command line: prints a key, and counts how often it was asked."""
    folder.mkdir(exist_ok=True)
    script = folder / name
    text = crypto.key_text(crypto.new_key()).strip()
    script.write_text(f"#!/bin/sh\necho asked >> {folder / name}.log\necho '{text}'\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return str(script)


def by(folder: Path, command: str) -> Settings:
    return settings(folder, key_command=command)


def test_the_key_of_a_command_opens_what_it_made_and_is_on_no_disk(tmp_path: Path) -> None:
    command = service(tmp_path / "kms", "key")
    opened = Database.open(by(tmp_path, command))
    assert opened.notices == []
    opened.write_now(lambda tx: tx.execute("INSERT INTO fact VALUES ('x', 1)"))
    opened.close()
    again = Database.open(by(tmp_path, command))
    assert again.read.one("SELECT value FROM fact WHERE name = 'x'") == (1,)
    again.close()
    assert not (tmp_path / "key").exists()
    assert (tmp_path / "kms" / "key.log").read_text().count("asked") == 1
    assert [f.level for f in health.look(by(tmp_path, command)) if f.what == "key command"] == ["good"]


def test_another_key_opens_nothing(tmp_path: Path) -> None:
    Database.open(by(tmp_path, service(tmp_path / "kms", "one"))).close()
    with pytest.raises(Unstartable, match="does not open what was sealed"):
        Database.open(by(tmp_path, service(tmp_path / "kms", "two")))


def test_the_key_is_exchanged_while_the_server_goes_on(tmp_path: Path) -> None:
    old, new = service(tmp_path / "kms", "old"), service(tmp_path / "kms", "new")
    serving = Database.open(by(tmp_path, old), serving=True)
    with pytest.raises(Unstartable, match="which alone can make a new one") as caught:
        rotate.rewrap(by(tmp_path, old))
    assert "--next-command" in caught.value.mend
    (tmp_path / "suture.toml").write_text(f"key_command = '{old}'\n")
    said = run(rotate_key.app, "--next-command", new, "--project", str(tmp_path)).stdout
    assert "set key_command to that command now" in said
    serving.write_now(lambda tx: tx.execute("INSERT INTO fact VALUES ('x', 1)"))
    serving.close()
    with pytest.raises(Unstartable, match="does not open"):
        Database.open(by(tmp_path, old))
    opened = Database.open(by(tmp_path, new))
    assert opened.read.one("SELECT value FROM fact WHERE name = 'x'") == (1,)
    opened.close()


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 3", "ended with 3"),
        ("echo hello", "is not a Suture key file"),
        ("echo suture-key/1 QUJD", "is not a Suture key file"),
    ],
)
def test_a_command_that_gives_no_key_says_how_to_mend_it(tmp_path: Path, script: str, text: str) -> None:
    file = tmp_path / "broken"
    file.write_text(f"#!/bin/sh\necho secret-on-stderr >&2\n{script}\n")
    file.chmod(0o700)
    with pytest.raises(Unstartable, match=text) as caught:
        keys.printed(str(file))
    assert "secret-on-stderr" not in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize("command", ["/nowhere/key", "'", "''"])
def test_a_command_that_is_not_there_is_told(command: str) -> None:
    with pytest.raises(Unstartable, match="can't be run"):
        keys.printed(command)


def test_a_command_is_no_shell(tmp_path: Path) -> None:
    with pytest.raises(Unstartable):
        keys.printed(f"/bin/echo x; touch {tmp_path / 'made'}")
    assert not (tmp_path / "made").exists()
