"""`suture check` as a person calls it: whole projects, single files, JSON, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from suture.cli import check
from suture.errors import Invalid
from tests.commands import run

FLOW = """suture: flow/1
id: forward
source: {uses: mllp.listen}
steps: [{id: keep, uses: file.write, with: {connection: archive}}]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for folder in ("flows", "connections", "tests"):
        (tmp_path / folder).mkdir()
    (tmp_path / "flows" / "forward.yaml").write_text(FLOW)
    (tmp_path / "connections" / "archive.yaml").write_text(
        "{suture: connection/1, id: archive, uses: file, folder: out}"
    )
    return tmp_path


def test_a_right_project_has_nothing_wrong(project: Path) -> None:
    told = run(check.app, str(project))
    assert (told.exit_code, told.output) == (0, "Nothing is wrong.\n")


def test_every_part_of_a_project_is_looked_at(project: Path) -> None:
    (project / "suture.toml").write_text("[http]\nprot = 1\n")
    (project / "flows" / "second.yaml").write_text(FLOW.replace("archive", "archiv"))
    (project / "connections" / "x.yaml").write_text("{suture: connection/1, id: x, uses: http}")
    (project / "tests" / "t.yaml").write_text("{suture: test/1, flow: nothing, send: a.hl7, expect: [{stepp: 1}]}")
    told = run(check.app, str(project))
    assert told.exit_code == 1
    for said in (
        "no setting named 'http.prot'", "error: no connection named 'archiv'", "Did you mean 'archive'?",
        "two flows have the id 'forward'", "connections/x.yaml:1:1: error: 'http' needs 'base'", "no flow named 'nothing'",
        "'send' names no file", "an expectation names a step, sent, loss or ends",
    ):  # fmt: skip
        assert said in told.output


def test_findings_stand_in_the_order_of_the_files_each_at_its_place(project: Path) -> None:
    (project / "suture.toml").write_text("[http]\nprot = 1\n")
    (project / "connections" / "x.yaml").write_text(
        "suture: connection/1\nid: x\nuses: http\nbase: nowhere\ntimout: 5s\n"
    )
    (project / "flows" / "forward.yaml").write_bytes(FLOW.encode() + b"# \xff\n")
    (project / "maps").mkdir()
    (project / "maps" / "p.yaml").write_text("suture: map/1\nmap: a/PID-Patient\nextends: hl7v2/PID-Patent\n")
    found = [line for line in run(check.app, str(project)).output.splitlines() if ": error: " in line]
    last = len(FLOW.splitlines()) + 1
    assert found == [
        "connections/x.yaml:4:7: error: this URL is not an http or https URL without a fragment",
        "connections/x.yaml:5:1: error: 'http' has no field 'timout'",
        f"flows/forward.yaml:{last}:3: error: this is not UTF-8",
        "maps/p.yaml:3:10: error: extends 'hl7v2/PID-Patent', which is not there",
        "suture.toml:2:1: error: no setting named 'http.prot'",
    ]


def test_mistyped_heads_and_maps_are_errors_with_the_right_name(project: Path) -> None:
    text = FLOW.replace("steps: [", "steps: [{id: chart, uses: map, with: {map: hl7v2/ADT_A0l}}, ")
    (project / "flows" / "forward.yaml").write_text(text.replace("archive}", 'archive, name: "{{ mesage.id }}"}'))
    told = run(check.app, str(project))
    assert told.exit_code == 1
    assert (
        "flows/forward.yaml:4:44: error: map 'hl7v2/ADT_A0l': there is none of that name. Did you mean 'hl7v2/ADT_A01'?"
        in told.output
    )
    assert "flows/forward.yaml:4:128: error: 'mesage' is no step" in told.output
    assert "    Did you mean 'message'?\n" in told.output


def test_one_file_is_judged_alone_and_json_is_for_programs(project: Path) -> None:
    (project / "flows" / "second.yaml").write_text("{suture: flow/1, id: second}")
    told = run(check.app, str(project / "flows" / "forward.yaml"))
    assert told.exit_code == 0
    told = run(check.app, str(project / "flows" / "second.yaml"), "--json")
    assert told.exit_code == 1
    assert {"file": "flows/second.yaml", "severity": "error"}.items() <= json.loads(told.output)[0].items()


def test_what_is_no_project_is_told(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no project folder"):
        run(check.app, str(tmp_path))
    with pytest.raises(Invalid, match="no such file"):
        run(check.app, str(tmp_path / "x"))
