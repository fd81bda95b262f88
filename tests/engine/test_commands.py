"""The commands around flows, as a person calls them: a new project, its tests, lists, replays and secrets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import check, client, deadletters, init, messages, place, replay, runs, secret, user
from suture.cli import test as test_command
from suture.cli.place import opened
from suture.errors import Conflict, Invalid, NotFound
from suture.message import RunState
from suture.store import audit
from tests.commands import run
from tests.connectors.site import Say, Site
from tests.engine.rig import FORWARD, Rig, adt, other


@pytest.fixture(autouse=True)
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "project" / "key"))
    monkeypatch.setenv("SUTURE_MLLP_PORT", "0")


def test_a_new_project_is_right_and_passes_its_tests(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    assert "suture test" in run(init.app, str(folder)).output
    assert run(check.app, str(folder)).output == "Nothing is wrong.\n"
    told = run(test_command.app, str(folder))
    assert (told.exit_code, told.output) == (0, "passed  tests/first-feed.yaml\n1 passed, 0 failed\n")
    assert (folder / ".gitignore").read_text() == "data/\n*.key\n"
    with pytest.raises(Invalid, match="not empty"):
        run(init.app, str(folder))


def test_a_failing_test_says_what_came_instead(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    run(init.app, str(folder))
    (folder / "tests" / "first-feed.yaml").write_text(
        "{suture: test/1, flow: first-feed, send: samples/adt_a01.hl7, expect: [{step: chart, where: entry.count() = 99}, "
        "{sent: pager}, {loss: [PID-1]}, {ends: filtered}]}"
    )
    told = run(test_command.app, str(folder), "--json")
    assert told.exit_code == 1
    wrong = " ".join(json.loads(told.output)[0]["problems"])
    for said in (
        "its output does not fulfil: entry.count() = 99",
        "'pager' was sent to 0 times",
        "expected PID-1",
        "ended as done, not as filtered",
    ):
        assert said in wrong


@pytest.fixture
async def failed(tmp_path: Path) -> tuple[Path, str, str]:
    """A project with one message whose delivery was refused: (folder, message id, dead letter id)."""
    folder = tmp_path / "project"
    async with Site(lambda got: Say(400)) as site, Rig(folder, {"f": FORWARD}, other(site.url)) as rig:
        await rig.accept(adt())
        await rig.settled(1)
        return folder, rig.messages()[0].id, rig.letters()[0].id


async def test_a_message_is_found_and_shown_masked(failed: tuple[Path, str, str]) -> None:
    folder, id, _ = failed
    project = ("--project", str(folder))
    listed = json.loads(
        run(messages.app, "list", "--control-id", "MSG1", "--state", "failed", "--json", *project).output
    )
    assert [one["id"] for one in listed] == [id]
    assert run(messages.app, "list", "--patient", "-", *project, input="nobody\n").output == "No message fits.\n"
    assert id in run(messages.app, "list", "--patient", "-", *project, input="100234\n").output
    with pytest.raises(Invalid, match="may not stand on the command line") as refused:
        run(messages.app, "list", "--patient", "100234", *project)
    assert "100234" not in str(refused.value)
    with pytest.raises(Invalid, match="no identifier was given"):
        run(messages.app, "list", "--patient", "-", *project, input="\n")
    shown = run(messages.app, "show", id, *project).output
    assert "100234" not in shown
    assert "Testperson" not in shown
    assert "PID|9||999999^^^XXXXXXXX^XX||Xxxxxxxxxx^Xxxx" in shown
    assert "MSA|AA|MSG1" in shown


async def test_what_a_sender_wrote_is_shown_whole_and_is_neither_markup_nor_control(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    async with Rig(folder, {"f": FORWARD}, other("http://127.0.0.1:9")) as rig:
        await rig.accept(adt("[/red]\x1b[31m" + "N" * 80))
        id = rig.messages()[0].id
    line = run(messages.app, "list", "--project", str(folder)).output.splitlines()[1]
    assert line.split()[1:5] == [id, "mllp:0", "ADT^A01", "[/red]\N{REPLACEMENT CHARACTER}[31m" + "N" * 80]


def test_in_the_wrong_folder_nothing_is_made(tmp_path: Path) -> None:
    for command in (messages.app, runs.app, deadletters.app, secret.app, client.app, user.app):
        with pytest.raises(Invalid, match="no project and no database here"):
            run(command, "list", "--project", str(tmp_path))
        assert run(command, "list", "--project", str(tmp_path / "typo")).exit_code == 2
    assert list(tmp_path.iterdir()) == []


async def test_a_dead_letter_that_never_was_is_not_closed(failed: tuple[Path, str, str]) -> None:
    with pytest.raises(NotFound, match="no dead letter with this id"):
        run(deadletters.app, "discard", "0193", "--project", str(failed[0]))


async def test_a_revealed_message_leaves_an_audit_row(failed: tuple[Path, str, str]) -> None:
    folder, id, _ = failed
    told = json.loads(run(messages.app, "show", id, "--reveal", "--json", "--project", str(folder)).output)
    assert "Testperson^Alma" in told["original"]
    assert told["patients"] == ["100234"]
    assert [step["step"] for step in told["runs"][0]["steps"]] == ["send"]
    with opened(folder) as database:
        rows = [entry.row for entry in audit.find(database.read, what="reveal")]
    assert [(row.type, row.id) for row in rows] == [("Message", id)]


async def test_every_look_leaves_an_audit_row_that_names_filters_without_their_values(
    failed: tuple[Path, str, str],
) -> None:
    folder, id, letter = failed
    project = ("--project", str(folder))
    walked = json.loads(run(runs.app, "list", "--json", *project).output)[0]["id"]
    run(messages.app, "list", "--patient", "-", "--type", "ADT^A01", *project, input="100234\n")
    run(messages.app, "show", id, *project)
    run(runs.app, "show", walked, *project)
    run(deadletters.app, "list", "--flow", "forward", *project)
    run(deadletters.app, "show", letter, *project)
    with pytest.raises(NotFound):
        run(messages.app, "show", "nosuch", *project)
    with opened(folder) as database:
        found = [e.row for e in audit.find(database.read) if e.row.detail == "command line"]
    assert {row.who for row in found} == {place.who()}
    assert [(row.what, row.type, row.id, row.query, row.outcome) for row in reversed(found)] == [
        ("list", "Run", "", "", 200),
        ("list", "Message", "", "type&patient", 200),
        ("read", "Message", id, "", 200),
        ("read", "Run", walked, "", 200),
        ("list", "DeadLetter", "", "flow", 200),
        ("read", "DeadLetter", letter, "", 200),
        ("read", "Message", "nosuch", "", 404),
    ]


async def test_runs_show_their_deliveries_and_attempts(failed: tuple[Path, str, str]) -> None:
    folder, _, _ = failed
    project = ("--project", str(folder))
    one = json.loads(run(runs.app, "list", "--state", "failed", "--json", *project).output)[0]
    assert one["flow"] == "forward"
    told = json.loads(run(runs.app, "show", one["id"], "--json", *project).output)
    assert [a["answer"] for a in told["deliveries"][0]["attempts"]] == ["400"]
    with pytest.raises(NotFound, match="no run with this id"):
        run(runs.app, "show", "x", *project)
    with pytest.raises(Conflict, match="ended already"):
        run(runs.app, "cancel", one["id"], "--reason", "x", *project)


async def test_a_dead_letter_is_replayed_beside_a_running_server(failed: tuple[Path, str, str]) -> None:
    folder, _, letter = failed
    project = ("--project", str(folder))
    assert "answered 400" in run(deadletters.app, "show", letter, *project).output
    async with Site(lambda got: Say()) as site, Rig(folder, {"f": FORWARD}, other(site.url)) as rig:
        assert "Replayed as run" in run(replay.app, letter, *project).output
        await rig.settled(2)
        assert [r.state for r in rig.runs()] == [RunState.FAILED, RunState.DONE]
        assert len(site.got) == 1
    assert run(deadletters.app, "list", *project).output == "No dead letters.\n"
    with pytest.raises(Conflict, match="replayed or discarded already"):
        run(deadletters.app, "discard", letter, *project)


async def test_all_dead_letters_of_a_flow_are_replayed_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    broken = True
    async with (
        Site(lambda got: Say(400 if broken else 200)) as site,
        Rig(folder, {"f": FORWARD}, other(site.url)) as rig,
    ):
        for n in range(4):
            await rig.accept(adt(f"M{n}", str(n)))
        await rig.settled(4)
        broken = False
        assert "4 dead letters" in run(replay.app, "--all", "--flow", "forward", "--project", str(folder)).output
        await rig.settled(8)
        assert sorted(got.json["id"] for got in site.got[4:]) == ["M0", "M1", "M2", "M3"]
    with pytest.raises(Invalid, match="say what to replay"):
        run(replay.app, "--all", "--project", str(folder))


async def test_an_unrouted_message_is_routed_once_a_flow_claims_it(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    async with Rig(folder, {"f": FORWARD.replace("ADT^*", "SIU^*")}, other("http://127.0.0.1:1")) as rig:
        await rig.accept(adt())
        id = rig.messages()[0].id
    async with Site(lambda got: Say()) as site, Rig(folder, {"f": FORWARD}, other(site.url)) as rig:
        run(replay.app, id, "--project", str(folder))
        await rig.settled(1)
        assert len(site.got) == 1


def test_a_secret_comes_from_a_pipe_and_is_bound_to_its_connection(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    (folder / "connections").mkdir(parents=True)
    (folder / "connections" / "other.yaml").write_text(other("https://pager.example/api")["other"])
    project = ("--project", str(folder))
    told = run(secret.app, "set", "pager", "--connection", "other", *project, input="t0ken\n")
    assert told.output == "Secret 'pager' is kept for https://pager.example.\n"
    listed = run(secret.app, "list", "--json", *project).output
    assert json.loads(listed)[0]["for"] == "https://pager.example"
    assert "t0ken" not in listed
    run(secret.app, "remove", "pager", *project)
    assert run(secret.app, "list", *project).output == "No secrets.\n"
    with pytest.raises(Invalid, match="say what the secret is for"):
        run(secret.app, "set", "pager", *project, input="x")
    with pytest.raises(NotFound, match="no such secret"):
        run(secret.app, "remove", "pager", *project)
