"""Reads YAML 1.2 with the line and column of every key and item, so that every finding can name its place.

https://yaml.org/spec/1.2.2/
"""

from __future__ import annotations

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from suture.errors import InvalidFile, Problem

Place = tuple[int, int]
START: Place = (1, 1)


def load(text: str, file: str = "<text>") -> Any:
    """The document as dicts and lists that remember their places; raises InvalidFile with line and column."""
    try:
        return YAML(typ="rt").load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else START
        what = str(error.problem or error.context or "cannot be read as YAML")
        raise InvalidFile(
            [Problem(file, line, column, f"not YAML: {what}", "Check indentation, quotes and colons.")]
        ) from error
    except (YAMLError, ValueError) as error:
        raise InvalidFile([Problem(file, 1, 1, f"not YAML: {error}", "Save the file as UTF-8 YAML.")]) from error
    except (TypeError, LookupError, AttributeError, RecursionError) as error:  # the reader's own trips over odd keys
        text = "not YAML that can be used: a key that is a list or table, or nesting without end"
        raise InvalidFile([Problem(file, 1, 1, text, "Check brackets, braces and '?'.")]) from error


def at(node: Any, key: Any = None) -> Place:
    """Line and column (1-based) of `key` in `node`, of item `key` of a list, or of `node` itself."""
    if key is not None and _knows(node, key):
        line, column = node.lc.key(key)
        return line + 1, column + 1
    if key is not None and isinstance(node, CommentedSeq) and isinstance(key, int) and key < len(node):
        line, column = node.lc.item(key)
        return line + 1, column + 1
    mark = getattr(node, "lc", None)
    if mark is None or mark.line is None:
        return START
    return mark.line + 1, mark.col + 1


def value_at(node: Any, key: Any) -> Place:
    """Line and column (1-based) of the value under `key`."""
    if _knows(node, key):
        line, column = node.lc.value(key)
        return line + 1, column + 1
    return at(node, key)


def _knows(node: Any, key: Any) -> bool:
    """A table as it was read, or some keys of one that kept its `lc`; a key that is no text (`:`, `1:`) may be renamed in it."""
    places = getattr(getattr(node, "lc", None), "data", None)
    return isinstance(node, dict) and key in node and places is not None and key in places


def plain(node: Any) -> Any:
    """The same content as plain dicts, lists and scalars."""
    if isinstance(node, dict):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node
