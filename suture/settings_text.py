"""Reads the text of suture.toml: its values with their kinds, and where each of them is written.

https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from suture.component import seconds, size
from suture.errors import InvalidFile, Problem

_AT = re.compile(r" \(at line (\d+), column (\d+)\)")
_HEAD = re.compile(r"\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"""(\s*)["']?([\w.-]+)["']?\s*=""")


def text_of(file: Path) -> str:
    """What the file holds; empty when it is not there."""
    try:
        return file.read_text(encoding="utf-8") if file.exists() else ""
    except UnicodeDecodeError as error:
        raise InvalidFile([Problem(str(file), 0, 0, "this is not UTF-8", "Save the file as UTF-8.")]) from error


def values(text: str, file: Path) -> dict[str, Any]:
    """Its values as `section.key`; raises InvalidFile with line and column."""
    try:
        return _flat(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        said, found = str(error), _AT.search(str(error))
        line, column = (int(found[1]), int(found[2])) if found else (len(text.splitlines()), 1)
        problem = Problem(str(file), line, column, f"not TOML: {_AT.sub('', said)}", "Check brackets and quotes.")
        raise InvalidFile([problem]) from error


def place(text: str, name: str) -> tuple[int, int]:
    """Line and column where a setting is written; 0, 0 when it is written in a way that is not found."""
    section, _, key = name.rpartition(".")
    inside = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _HEAD.match(line):
            inside = head[1].strip()
        elif (found := _KEY.match(line)) and found[2] in {key if inside == section else name, name}:
            return number, len(found[1]) + 1
    return 0, 0


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def value(kind: str, raw: Any, folder: Path) -> Any:
    """A value in the unit of its kind; raises ValueError."""
    if kind == "duration":
        return seconds(raw)
    if kind == "size":
        return size(raw)
    if kind == "integer":
        return _integer(raw)
    if kind == "boolean":
        return _boolean(raw)
    if kind == "path":  # of the project folder, from wherever the command is called
        return str((folder / str(raw)).absolute()) if raw else ""
    if isinstance(raw, list):
        raise ValueError("a list; write one text between quotes")
    return str(raw)


def _integer(raw: Any) -> int:
    try:
        return int(str(raw))
    except ValueError:
        raise ValueError(f"'{raw}' is not a whole number") from None


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    if str(raw).lower() in {"true", "false"}:
        return str(raw).lower() == "true"
    raise ValueError(f"'{raw}' is not true or false")
