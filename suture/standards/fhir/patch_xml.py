"""XML Patch: add, replace and remove at places of a resource's XML, named by a small part of XPath (RFC 5261).

https://www.rfc-editor.org/rfc/rfc5261 · https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from suture.errors import Inapplicable, Invalid
from suture.standards import xml_tree
from suture.standards.fhir import xml
from suture.standards.fhir.patch_select import Found, Looks, select
from suture.standards.xml_tree import Comment, Node

MOST = 1000  # operations of one patch
_POSITIONS = ("prepend", "before", "after")
_ROOTS = ("diff", "patch")
_TYPE = re.compile(
    r"(?:@|attribute::)(?P<name>[A-Za-z_][\w.\-]*)|namespace::(?P<prefix>(?!xml)[A-Za-z_][\w.\-]*)", re.ASCII
)


def operations(raw: bytes) -> list[Node]:
    """The operations of a patch document; raises Invalid for what is no patch, InvalidSyntax for what is no XML."""
    root = xml_tree.read(raw)
    found = root.elements
    if root.name not in _ROOTS or not found:
        raise Invalid(
            "no XML Patch: there are no operations",
            where="diff",
            mend='Send <diff><replace sel="…">…</replace></diff>.',
        )
    if len(found) > MOST:
        raise Invalid("the patch has too many operations", where="diff", mend=f"Send at most {MOST}.")
    return found


def apply(resource: dict[str, Any], steps: list[Node]) -> dict[str, Any]:
    """The resource with the operations done in their order; the one that came is left as it is.

    Raises Invalid for what is no operation, Inapplicable when one finds no place or several; both name the operation.
    """
    root = xml_tree.read(xml.write(resource))
    kept = {_canonical(div): div for div in _narratives(resource)}
    patch(root, steps)
    after: dict[str, Any] = _with_narratives(xml.read(xml_tree.write(root)), kept)
    return after


def patch(root: Node, steps: list[Node]) -> None:
    """Changes a tree in place."""
    looks = Looks()
    for number, step in enumerate(steps):
        where = f"[{number}]"
        run = _OPERATIONS.get(step.name)
        if run is None:
            raise Invalid("not an operation", where=where, mend=f"One of {', '.join(_OPERATIONS)}.")
        run(_one(root, step, where, looks), step, where)


def _one(root: Node, step: Node, where: str, looks: Looks) -> Found:
    """The one place that an operation names."""
    found = select(root, step.attributes.get("sel", ""), step.scope, f"{where}.sel", looks)
    if not found:
        raise Inapplicable("nothing is at this place", where=f"{where}.sel", mend="Read the resource as XML, then name a place in it.")  # fmt: skip
    if len(found) > 1:
        raise Inapplicable("several nodes are at this place", where=f"{where}.sel", mend="Name one of them: [1].")
    return found[0]


def _add(found: Found, step: Node, where: str) -> None:
    type, position = step.attributes.get("type", ""), step.attributes.get("pos", "")
    if type:
        _add_named(_element(found, where), type, step, where)
    elif position in _POSITIONS[1:]:
        found.insert(step.children, after=position == "after", where=where)
    elif position in ("", "prepend"):
        node = _element(found, where)
        node.children[:] = [*step.children, *node.children] if position else [*node.children, *step.children]
    else:
        raise Invalid("not a position", where=f"{where}.pos", mend=f"One of {', '.join(_POSITIONS)}, or none.")


def _add_named(node: Node, type: str, step: Node, where: str) -> None:
    """An attribute or a namespace's prefix."""
    found = _TYPE.fullmatch(type)
    if found is None or (found["prefix"] and not step.text.strip()):
        raise Invalid("not a type", where=f"{where}.type", mend="Write @name, or namespace::prefix and an address.")
    if found["prefix"]:
        node.declared[found["prefix"]] = step.text.strip()
        return
    name = found["name"]
    if name in node.attributes:
        raise Inapplicable("the attribute is there already", where=f"{where}.type", mend="Use replace.")
    node.attributes[name] = step.text


def _element(found: Found, where: str) -> Node:
    node = found.node
    if node is None:
        raise Invalid("this operation needs an element", where=f"{where}.sel", mend="Leave out what follows it.")
    return node


def _replace(found: Found, step: Node, where: str) -> None:
    if found.attribute:
        found.owner.attributes[found.attribute] = step.text
        return
    if found.root:
        raise Invalid("the whole resource can't be replaced", where=f"{where}.sel", mend="Use PUT.")
    inside = found.children[found.at]
    wanted = _kind(inside)
    new = [child for child in step.children if _kind(child) is wanted and (wanted is str or not _blank(child))]
    rest = [child for child in step.children if not _blank(child)]
    if wanted is not str and (len(new) != 1 or len(rest) != 1):
        what = "an element" if wanted is Node else "a comment"
        raise Invalid(f"{what} is replaced by {what}", where=where, mend="Put one into the operation.")
    found.children[found.at] = step.text if wanted is str else new[0]


def _remove(found: Found, step: Node, where: str) -> None:
    if found.attribute:
        del found.owner.attributes[found.attribute]
    elif found.root:
        raise Invalid("the whole resource can't be removed", where=f"{where}.sel", mend="Use DELETE.")
    else:
        del found.children[found.at]


def _kind(child: Node | str) -> type[Node] | type[Comment] | type[str]:
    return Node if isinstance(child, Node) else Comment if isinstance(child, Comment) else str


def _blank(child: Node | str) -> bool:
    return isinstance(child, str) and not isinstance(child, Comment) and not child.strip()


_OPERATIONS: dict[str, Callable[[Found, Node, str], None]] = {"add": _add, "replace": _replace, "remove": _remove}


# --- narratives stay to the letter where no operation reaches them


def _narratives(value: Any) -> Iterator[str]:
    """All narratives of a resource."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if isinstance(value, dict) and isinstance(value.get("div"), str):
        yield value["div"]
    for one in inner:
        yield from _narratives(one)


def _with_narratives(value: Any, kept: dict[str, str]) -> Any:
    """The same with each narrative that came out as it went in written as it was."""
    if isinstance(value, list):
        return [_with_narratives(one, kept) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: kept.get(_canonical(one), one) if key == "div" and isinstance(one, str) else _with_narratives(one, kept)
        for key, one in value.items()
    }


def _canonical(div: str) -> str:
    return xml_tree.write(xml_tree.read(div.encode())).decode()
