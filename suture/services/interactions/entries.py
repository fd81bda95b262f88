"""The requests inside a batch or transaction, read and judged before anything is done.

https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from suture.errors import Invalid, Issue, SutureError, TooLarge
from suture.services.interactions.incoming import require_id, require_type

METHODS = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
T = TypeVar("T")
SHORT = 300  # characters of a url that is remembered
Pairs = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Entry:
    """One request of a bundle; nobody changes it once it is read."""

    index: int
    method: str
    path: tuple[str, ...]
    pairs: Pairs
    resource: dict[str, Any] | None
    full_url: str = ""
    if_match: str = ""
    if_none_match: str = ""
    if_none_exist: str = ""
    type: str = ""  # of the path, and its id
    id: str = ""
    translated: bool = False  # its resource came as XML

    @property
    def operation(self) -> str:
        """The name of the operation it calls, without its $; empty for every other request."""
        last = self.path[-1] if self.path else ""
        return last[1:] if last.startswith("$") else ""

    @property
    def where(self) -> str:
        return f"Bundle.entry[{self.index}]"


class Address(NamedTuple):
    """What the url of a request says."""

    path: tuple[str, ...]
    pairs: Pairs
    type: str
    id: str


def read(bundle: dict[str, Any], most: int, base: str, *, translated: bool = False) -> list[Entry]:
    """The entries of a bundle; raises Invalid naming the one that can't be understood. `translated`: it came as XML."""
    found = bundle.get("entry", [])
    if not isinstance(found, list):
        raise Invalid("entry must be a list", where="Bundle.entry")
    require_few(found, most)
    return [read_one(index, entry, base, translated=translated) for index, entry in enumerate(found)]


def require_few(found: Sequence[Any], most: int) -> None:
    """Raises TooLarge for more entries than are allowed."""
    if len(found) > most:
        raise TooLarge(f"more than {most} entries", where="Bundle.entry", mend="Send several bundles.")


def read_one(index: int, entry: Any, base: str, *, translated: bool = False) -> Entry:
    """One entry; raises Invalid naming its place."""
    where = f"Bundle.entry[{index}]"
    request = entry.get("request") if isinstance(entry, dict) else None
    if not isinstance(request, dict):
        raise Invalid("an entry needs a request", where=where, mend='Add "request": {"method": …, "url": …}.')
    method, url = request.get("method"), request.get("url")
    if method not in METHODS:
        raise Invalid("not a method", where=f"{where}.request.method", mend=f"One of {', '.join(METHODS)}.")
    if not isinstance(url, str):
        raise Invalid("an entry needs a url", where=f"{where}.request.url")
    known = _known(method, url, base) if len(url) < SHORT else None
    path, pairs, type, id = known or _address(url, base, f"{where}.request.url")
    resource, full_url = (
        _resource(entry, method, where, bool(path) and path[-1].startswith("$")),
        _text(entry, "fullUrl", where),
    )
    read_entry = Entry(index, method, path, pairs, resource, full_url, type=type, id=id, translated=translated)
    if len(request) > 2:
        read_entry.if_match = _text(request, "ifMatch", where)
        read_entry.if_none_match = _text(request, "ifNoneMatch", where)
        read_entry.if_none_exist = _text(request, "ifNoneExist", where)
    if known is None:
        placed(read_entry, lambda: _check(read_entry))
    return read_entry


def placed(entry: Entry, call: Callable[[], T]) -> T:
    try:
        return call()
    except SutureError as error:
        error.where = f"{entry.where}: {error.where}" if error.where else entry.where
        error.issues = tuple(_placed_issue(issue, entry) for issue in error.issues)
        raise


def _placed_issue(issue: Issue, entry: Entry) -> Issue:
    path = issue.expression
    if path.startswith(f"{entry.type}."):
        path = f"{entry.where}.resource{path.removeprefix(entry.type)}"
    return replace(issue, expression=path if path.startswith("Bundle") else entry.where)


@lru_cache(4096)
def _known(method: str, url: str, base: str) -> Address | None:
    """The address of a request that is fine; feeds name the same again and again."""
    with suppress(SutureError):
        address = _address(url, base, "")
        _check(Entry(0, method, address.path, address.pairs, None, type=address.type, id=address.id))
        return address
    return None


def _address(url: str, base: str, where: str) -> Address:
    path, pairs = _url(url, base, where)
    type, id = (("" if part[:1] in ("_", "$") else part) for part in (*path, "", "")[:2])
    return Address(path, pairs, type, id)


def _url(url: str, base: str, where: str) -> tuple[tuple[str, ...], Pairs]:
    if "://" in url.removeprefix(base).partition("?")[0] or len(url) > 8000:
        raise Invalid("the url is not below this server's base", where=where, mend="Write it relative: Patient/123.")
    try:
        return _split(url, base)
    except (UnicodeDecodeError, ValueError):
        raise Invalid("the query of the url can't be read", where=where) from None


def _split(url: str, base: str) -> tuple[tuple[str, ...], Pairs]:
    """The parts of the path, and the query."""
    path, _, query = url.removeprefix(base).strip("/").partition("?")
    pairs = tuple(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=500))
    return tuple(part for part in path.split("/") if part), pairs


def _text(part: dict[str, Any], name: str, where: str) -> str:
    value = part.get(name, "")
    if not isinstance(value, str):
        raise Invalid("must be a string", where=f"{where}.{name}")
    return value


def _resource(entry: dict[str, Any], method: str, where: str, called: bool) -> dict[str, Any] | None:
    resource = entry.get("resource")
    if method in ("POST", "PUT", "PATCH"):
        if not isinstance(resource, dict) and not (resource is None and called):
            raise Invalid("this entry needs a resource", where=f"{where}.resource")
        return resource
    return None


def _check(entry: Entry) -> None:
    """The shapes a request can have; raises for any other."""
    if entry.type:
        require_type(entry.type)
    if entry.operation:
        _check_operation(entry)
        return
    if entry.method == "POST" and (len(entry.path) != 1 or not entry.type):
        raise Invalid("POST goes to a resource type", where="request.url", mend="Write the type alone.")
    if entry.method in ("PUT", "PATCH", "DELETE"):
        _check_target(entry)


def _check_operation(entry: Entry) -> None:
    if entry.method not in ("GET", "POST") or len(entry.path) > 3:
        raise Invalid("an operation is called by GET or POST", where="request.url", mend="Write Type/id/$operation.")


def _check_target(entry: Entry) -> None:
    if not entry.type or len(entry.path) > 2 or (len(entry.path) == 2 and not entry.id):
        raise Invalid("not an address of one resource", where="request.url", mend="Write Type/id or Type?search.")
    if len(entry.path) == 1 and not entry.pairs:
        raise Invalid("a conditional request needs a search", where="request.url", mend="Write Type?identifier=…")
    if entry.id:
        require_id(entry.id)
