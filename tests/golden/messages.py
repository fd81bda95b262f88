"""Whole messages, one for each event and one for each habit of odd senders, and what the shipped maps make of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from suture.mapping.examples import GOLDEN
from suture.mapping.library import Library
from suture.standards.hl7v2 import message as hl7

FOLDER = Path(__file__).parent / "messages"
MAPS = {"A40": "hl7v2/ADT_A39", "A60": "hl7v2/ADT_A60", "R01": "hl7v2/ORU_R01"}


def files() -> list[Path]:
    return sorted(FOLDER.glob("*.hl7"))


def made(library: Library, file: Path) -> dict[str, Any]:
    """The Bundle, and what goes with it."""
    message = hl7.parse(file.read_text(encoding="utf-8").replace("\n", "\r"))
    compiled = library.compiled(MAPS.get(message.get("MSH-9.2"), "hl7v2/ADT_A01"))
    result = compiled.run(message, GOLDEN)
    return {
        "loss": result.loss,
        "warnings": [str(warning) for warning in result.warnings],
        "merges": result.merges,
        "value": result.value,
    }
