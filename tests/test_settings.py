"""Settings: environment over file over default, units, and errors that name the place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from suture import settings
from suture.errors import InvalidFile
from tests import docs


def test_environment_wins_over_file_over_default(tmp_path: Path) -> None:
    (tmp_path / "suture.toml").write_text('[http]\nport = 9000\nread_timeout = "2m"\n[mllp]\nmax_frame = "1MiB"\n')
    found = settings.read(tmp_path, {"SUTURE_HTTP_PORT": "9001"})
    assert (found["http.port"], found["http.read_timeout"], found["mllp.max_frame"], found["mllp.port"]) == (
        9001,
        120.0,
        1048576,
        2575,
    )


def test_every_problem_is_told_with_place_and_mend(tmp_path: Path) -> None:
    (tmp_path / "suture.toml").write_text('[http]\nprot = 1\nport = "x"\n')
    with pytest.raises(InvalidFile) as error:
        settings.read(tmp_path, {"SUTURE_HTTP_READ_TIMEOUT": "soon"})
    text = str(error.value)
    assert "no setting named 'http.prot'" in text
    assert "Did you mean 'http.port'?" in text
    assert "'x' is not a whole number" in text
    assert "SUTURE_HTTP_READ_TIMEOUT" in text
    assert "'soon' is not a duration" in text
    assert [(p.line, p.column) for p in error.value.problems] == [(2, 1), (3, 1), (0, 0)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("SUTURE_DATABSE", "Did you mean 'SUTURE_DATABASE'?"),
        ("SUTURE_KEYFILE", "Did you mean 'SUTURE_KEY_FILE'?"),
        ("SUTURE_HTTP__PORT", "Did you mean 'SUTURE_HTTP_PORT'?"),
        ("SUTURE_ZZZZZZZZZZZZZ", "docs/settings.md lists them."),
    ],
)
def test_a_mistyped_name_in_the_environment_is_refused(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(InvalidFile) as error:
        settings.read(tmp_path, {name: "x", "SUTURE_PUBLIC": "/suites", "PATH": "/bin"})
    assert str(error.value) == f"{name}:0:0: error: the environment names a setting that is not there\n    {said}"


def test_what_container_platforms_set_for_a_service_called_suture_is_no_setting(tmp_path: Path) -> None:
    links = [
        "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8080_TCP", "PORT_8080_TCP_ADDR",
        "PORT_8080_TCP_PORT", "PORT_8080_TCP_PROTO", "CLINIC_SERVICE_HOST", "CLINIC_PORT_2575_TCP",
    ]  # fmt: skip
    environment = {f"SUTURE_{name}": "tcp://10.0.0.1:8080" for name in links}
    assert settings.read(tmp_path, environment)["http.port"] == 8080


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("[http\nport = 1\n", (1, 6), "not TOML: Expected ']' at the end of a table declaration"),
        ("x = [\n", (1, 1), "not TOML"),
        ("[http]\nport = 1\n[mllp]\n  prt = 1\n", (4, 3), "no setting named 'mllp.prt'"),
        ("[http]\nprt = 1\n[mllp]\nhttp.prt = 1\n", (2, 1), "no setting named 'http.prt'"),
        (
            '[outbound]\nallow = ["https://x.example"]\n',
            (2, 1),
            "'outbound.allow': a list; write one text between quotes",
        ),
    ],
)
def test_a_finding_stands_at_its_line(tmp_path: Path, text: str, place: tuple[int, int], said: str) -> None:
    (tmp_path / "suture.toml").write_text(text)
    with pytest.raises(InvalidFile) as error:
        settings.read(tmp_path, {})
    first = error.value.problems[0]
    assert (first.line, first.column) == place
    assert first.text.startswith(said)


def test_a_folder_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="no such folder"):
        settings.read(tmp_path / "typo", {})


def test_the_key_file_stands_outside_the_project(tmp_path: Path) -> None:
    assert tmp_path not in settings.read(tmp_path, {}).key_file.parents


def test_relative_places_are_those_of_the_project(tmp_path: Path) -> None:
    here = settings.read(tmp_path, {"SUTURE_DATABASE": "sqlite:x.db", "SUTURE_KEY_FILE": "../k"})
    assert (here.database, here.key_file) == (f"sqlite:{tmp_path / 'x.db'}", tmp_path / "../k")
    there = settings.read(tmp_path, {"SUTURE_DATABASE": "sqlite:/srv/x.db", "SUTURE_KEY_FILE": "/srv/k"})
    assert (there.database, there.key_file) == ("sqlite:/srv/x.db", Path("/srv/k"))
    tls = settings.read(tmp_path, {"SUTURE_HTTP_TLS_KEY": "tls/key.pem"})
    assert (tls["http.tls_key"], tls["http.tls_certificate"]) == (str(tmp_path / "tls/key.pem"), "")
    assert settings.read(tmp_path, {}).database == f"sqlite:{tmp_path / 'data' / 'suture.db'}"
    assert settings.read(tmp_path, {"SUTURE_DATABASE": "postgresql://h/d"}).database == "postgresql://h/d"


def test_the_page_lists_every_setting() -> None:
    docs.check("settings.md", "settings", settings.reference())


def test_every_page_that_a_page_names_is_there() -> None:
    pages = docs.ROOT / "docs"
    for page in [*pages.glob("*.md"), docs.ROOT / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name} points at {target}"
