"""Reads the maps that come with the product: the same content and places as suture.mapping.sheet, thirty times faster (https://pyyaml.org).

A site's own files are read by the strict reader; the tests hold both equal for every packaged file.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from suture.mapping import sheet
from suture.mapping.sheet import Items, Sheet, Spot

WORDS: dict[str, bool | None] = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
WORDS |= {"": None, "~": None, "null": None, "Null": None, "NULL": None}
WHOLE = re.compile(r"[-+]?[0-9]+")
REAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


def load(text: str, file: str) -> Sheet:
    """The content of a packaged map."""
    if not yaml.__with_libyaml__:
        return sheet.load(text, file)
    node = yaml.compose(text, Loader=yaml.CSafeLoader)
    if not isinstance(node, yaml.MappingNode):
        return sheet.load(text, file)
    return _sheet(node, file)


def _spot(node: Any, file: str) -> Spot:
    return Spot(file, node.start_mark.line + 1, node.start_mark.column + 1)


def _sheet(node: Any, file: str) -> Sheet:
    made = Sheet(_spot(node, file))
    for key, value in node.value:
        made.put(str(key.value), _value(value, file), _spot(key, file), _spot(value, file))
    return made


def _value(node: Any, file: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _sheet(node, file)
    if isinstance(node, yaml.SequenceNode):
        items = Items(_spot(node, file))
        for item in node.value:
            items.put(_value(item, file), _spot(item, file))
        return items
    return node.value if node.style else _scalar(node.value)


def _scalar(text: str) -> Any:
    """A plain scalar by the core schema of YAML 1.2."""
    if text in WORDS:
        return WORDS[text]
    if WHOLE.fullmatch(text):
        return int(text)
    return float(text) if REAL.fullmatch(text) else text
