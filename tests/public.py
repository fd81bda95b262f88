"""Finds the public suites that may not be committed; a test that needs one skips loudly where they are absent.

SUTURE_PUBLIC names their folder; default: shared/data beside the checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

FOLDER = Path(os.environ.get("SUTURE_PUBLIC") or Path(__file__).parents[2] / "shared" / "data")


def path(name: str) -> Path:
    """The file or folder `name` of the public suites; skips the calling test when it is not there."""
    found = FOLDER / name
    if not found.exists():
        pytest.skip(f"PUBLIC SUITE ABSENT: {name} (set SUTURE_PUBLIC to the folder that holds it)")
    return found
