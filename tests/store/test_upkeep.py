"""What fails beside the writing is told once, and tried again."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.database import Database
from tests.stores import settings


def test_an_anchor_that_cannot_move_is_reported_once_and_moves_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = tmp_path / "anchors" / "anchor"
    place.parent.mkdir()
    store = Database.open(settings(tmp_path, audit__anchor=str(place), audit__anchor_every=0.0))
    try:
        shutil.rmtree(place.parent)
        place.parent.write_text("in the way")
        with caplog.at_level(logging.ERROR, "suture.store"):
            for name in "abc":
                store.write_now(lambda tx, n=name: audit.append(tx, AuditRow("system", n)))
                store.upkeep.settle()
        assert store.upkeep.trouble.startswith(("NotADirectoryError", "FileExistsError"))
        assert [record.name for record in caplog.records] == ["suture.store"]
        place.parent.unlink()
        place.parent.mkdir()
        store.write_now(lambda tx: audit.append(tx, AuditRow("system", "d")))
        store.upkeep.settle()
        assert store.upkeep.trouble == ""
        assert place.exists()
    finally:
        store.close()
