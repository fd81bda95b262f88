"""Messages of every event and of odd senders come out as they are written down (`python -m tests.golden --all` writes them anew)."""

from __future__ import annotations

from pathlib import Path

import pytest

from suture.mapping.library import Library
from suture.standards.fhir import json
from suture.standards.fhir.validate import check
from tests.golden import messages

LIBRARY = Library()
EVENTS = ("a02", "a03", "a04", "a05", "a06", "a07", "a08", "a11", "a12", "a13", "a28", "a31", "a40", "a60")


@pytest.mark.parametrize("file", messages.files(), ids=lambda file: file.stem)
def test_a_message_comes_out_as_written(file: Path) -> None:
    expected = json.read(file.with_suffix(".json").read_bytes())
    assert messages.made(LIBRARY, file) == expected


@pytest.mark.parametrize("file", messages.files(), ids=lambda file: file.stem)
def test_what_comes_out_is_valid(file: Path) -> None:
    entries = messages.made(LIBRARY, file)["value"]["entry"]
    issues = [issue for entry in entries for issue in check(entry["resource"])]
    assert [(i.expression, i.text) for i in issues if i.severity in ("error", "fatal")] == []


def test_every_event_has_a_message() -> None:
    assert set(EVENTS) <= {file.stem for file in messages.files()}
