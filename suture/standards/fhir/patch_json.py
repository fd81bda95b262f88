"""JSON Patch: a list of operations on a resource, each at a JSON Pointer (RFC 6902, RFC 6901).

https://www.rfc-editor.org/rfc/rfc6902 · https://hl7.org/fhir/R4/http.html#patch
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from decimal import Decimal
from typing import Any

from suture.errors import Inapplicable, Invalid, TooLarge

MOST = 1000  # operations of one patch
MOST_COPIED = 100_000  # values that its copies make: each could double what is there
_INDEX = re.compile(r"0|[1-9]\d{0,8}", re.ASCII)
_NOTHING = object()


def apply(resource: dict[str, Any], operations: Any) -> dict[str, Any]:
    """The resource with the operations done in their order; the one that came is left as it is.

    Raises Invalid for what is no patch, Inapplicable when an operation finds no place or a test fails; both name the
    operation.
    """
    if not isinstance(operations, list) or len(operations) > MOST:
        raise Invalid(
            "a JSON Patch is an array of operations",
            where="patch",
            mend=f'Send at most {MOST}: [{{"op": …, "path": …}}].',
        )
    root = _Root([deepcopy(resource)])
    for number, operation in enumerate(operations):
        _run(root, operation, f"[{number}]")
    if not isinstance(root[0], dict):
        raise Inapplicable("the patch leaves no resource", where="patch", mend="Use DELETE to remove a resource.")
    return root[0]


class _Root(list[Any]):
    """A list of one, so that the whole document has a place, too; counts what was copied."""

    copied = 0


def size(value: Any) -> int:
    """How many values there are in a value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(size, inner))


def _run(root: _Root, operation: Any, where: str) -> None:
    op = operation.get("op") if isinstance(operation, dict) else None
    run = _OPERATIONS.get(op) if isinstance(op, str) else None
    if run is None:
        raise Invalid("not an operation", where=f"{where}.op", mend=f"One of {', '.join(_OPERATIONS)}.")
    run(root, operation, where)


class _Place:
    """Where a pointer leads: a container and the key in it. The last token need not be there yet."""

    __slots__ = ("container", "key", "pointer", "where")

    def __init__(self, root: _Root, operation: dict[str, Any], name: str, where: str) -> None:
        self.where = f"{where}.{name}"
        self.pointer = operation.get(name)
        tokens = _tokens(self.pointer, self.where)
        self.container: Any = root
        self.key: str = "0"
        for token in tokens:
            self.container = self.value
            self.key = token
        if not isinstance(self.container, dict | list):
            raise self.missing()

    @property
    def value(self) -> Any:
        """What is there; raises Inapplicable when nothing is."""
        found = self.found()
        if found is _NOTHING:
            raise self.missing()
        return found

    def found(self) -> Any:
        if isinstance(self.container, dict):
            return self.container.get(self.key, _NOTHING)
        at = self.index(len(self.container) - 1) if isinstance(self.container, list) else None
        return _NOTHING if at is None else self.container[at]

    def index(self, most: int) -> int | None:
        """The key as a place in a list, up to `most`."""
        return int(self.key) if _INDEX.fullmatch(self.key) and int(self.key) <= most else None

    def add(self, value: Any) -> None:
        if isinstance(self.container, dict):
            self.container[self.key] = value
            return
        at = len(self.container) if self.key == "-" else self.index(len(self.container))
        if at is None:
            raise self.missing()
        self.container.insert(at, value)

    def replace(self, value: Any) -> None:
        _ = self.value  # must be there
        self.container[self.key if isinstance(self.container, dict) else int(self.key)] = value

    def remove(self) -> Any:
        found = self.value
        del self.container[self.key if isinstance(self.container, dict) else int(self.key)]
        return found

    def missing(self) -> Inapplicable:
        return Inapplicable(
            "nothing is at this place", where=self.where, mend="Read the resource, then name a place in it."
        )


def _tokens(pointer: Any, where: str) -> list[str]:
    if not isinstance(pointer, str) or (pointer and not pointer.startswith("/")):
        raise Invalid("not a JSON Pointer", where=where, mend="Write /name/0/family.")
    if re.search(r"~(?![01])", pointer):
        raise Invalid("a ~ stands alone in the pointer", where=where, mend="Write ~0 for ~ and ~1 for /.")
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _value(operation: dict[str, Any], where: str) -> Any:
    if "value" not in operation:
        raise Invalid("this operation needs a value", where=f"{where}.value")
    return deepcopy(operation["value"])


def _add(root: _Root, operation: dict[str, Any], where: str) -> None:
    value, place = _value(operation, where), _Place(root, operation, "path", where)
    if place.container is root:
        root[0] = value
    else:
        place.add(value)


def _remove(root: _Root, operation: dict[str, Any], where: str) -> None:
    place = _Place(root, operation, "path", where)
    if place.container is root:
        raise Invalid("the whole resource can't be removed", where=place.where, mend="Use DELETE.")
    place.remove()


def _replace(root: _Root, operation: dict[str, Any], where: str) -> None:
    _Place(root, operation, "path", where).replace(_value(operation, where))


def _move(root: _Root, operation: dict[str, Any], where: str) -> None:
    source = _Place(root, operation, "from", where)
    target = operation.get("path")
    if source.container is root or (isinstance(target, str) and target.startswith(f"{source.pointer}/")):
        raise Invalid("a value can't be moved into itself", where=f"{where}.path")
    value = source.remove()
    _Place(root, operation, "path", where).add(value)


def _copy(root: _Root, operation: dict[str, Any], where: str) -> None:
    found = _Place(root, operation, "from", where).value
    root.copied += size(found)
    if root.copied > MOST_COPIED:
        raise TooLarge("the patch copies too much", where=where, mend=f"Copy at most {MOST_COPIED} values.")
    value = deepcopy(found)
    _add(root, {**operation, "value": value}, where)


def _test(root: _Root, operation: dict[str, Any], where: str) -> None:
    found = _Place(root, operation, "path", where).value
    if not equal(found, _value(operation, where)):
        raise Inapplicable("the test fails: another value is there", where=f"{where}.value", mend="Read it again.")


def equal(one: Any, other: Any) -> bool:
    """Equality of JSON values: numbers by value, true is not 1 (RFC 6902, 4.6)."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(one[k], other[k]) for k in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, int | Decimal | float) and isinstance(other, int | Decimal | float):
        return one == other
    return type(one) is type(other) and bool(one == other)


_OPERATIONS: dict[str, Callable[[_Root, dict[str, Any], str], None]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}
