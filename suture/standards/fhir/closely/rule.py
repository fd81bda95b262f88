"""A rule of the close look: the type it is about, and what finds its breaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from suture.errors import Issue
from suture.standards.fhir.closely.node import Node

Look = Callable[[Node], Iterator[Issue]]


class Rule(NamedTuple):
    """`type` is a resource type, a datatype, or `*` for every value; `look` yields its breaches."""

    type: str
    look: Look


def error(node: Node | str, text: str, mend: str, code: str = "invariant") -> Issue:
    """A breach at a node, or at a path."""
    return Issue("error", code, text, node if isinstance(node, str) else node.path, mend)


def warning(node: Node | str, text: str, mend: str, code: str = "business-rule") -> Issue:
    """What should not be so, and may."""
    return Issue("warning", code, text, node if isinstance(node, str) else node.path, mend)
