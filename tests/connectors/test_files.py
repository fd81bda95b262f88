"""Files are written whole, below their folder, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.connectors import connection
from suture.connectors.files import FileSender
from suture.errors import Invalid, SendFailed


def folder(tmp_path: Path) -> FileSender:
    doc = {"suture": "connection/1", "id": "archive", "uses": "file", "folder": "out"}
    return FileSender(connection.read(json.dumps(doc), "c.yaml"), tmp_path)


async def test_a_file_is_written_and_written_over(tmp_path: Path) -> None:
    sender = folder(tmp_path)
    assert await sender.send("a/b.hl7", b"one") == "a/b.hl7"
    await sender.send("a/b.hl7", b"two")
    assert [(p.name, p.read_bytes()) for p in (tmp_path / "out" / "a").iterdir()] == [("b.hl7", b"two")]


@pytest.mark.parametrize(
    "name", ["../x", "/etc/x", "a/../../x", ".hidden", "a//b", "", "a\x00b", "a\nb", "a\\b", "x" * 300, "C:x"]
)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid, match="file name is not allowed"):
        await folder(tmp_path).send(name, b"x")
    assert not (tmp_path / "x").exists()


async def test_no_link_leads_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out" / "way").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Invalid, match="leads out of the folder"):
        await folder(tmp_path).send("way/x", b"x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_a_folder_that_is_a_file_is_told_without_retry(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(SendFailed, match="cannot write there") as error:
        await folder(tmp_path).send("x", b"x")
    assert not error.value.retry


@given(st.text(min_size=1, max_size=60))
def test_every_name_stays_inside_or_is_refused(name: str) -> None:
    sender = folder(Path("/nowhere"))
    try:
        path = sender.path(name)
    except Invalid:
        return
    assert path.is_relative_to("/nowhere/out")
    assert ".." not in path.parts
