"""What compiled maps call while they run: parts of fields, lists and extensions, entries and references (docs/map-language.md)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from suture.errors import Unmapped
from suture.mapping.context import Context
from suture.mapping.merge import united
from suture.mapping.model import Keep
from suture.mapping.tables import Table, coding
from suture.standards.fhir.fhirpath import Expression
from suture.standards.hl7v2.escapes import unescape

BLANKS = [""] * 200  # the parts of what is absent
NULL = '""'
NOTHING = ("", NULL)
SHIFT = 20  # an event is site << SHIFT | repetition
VOID, OPEN, CONTAINED, CLOSE = -1, -2, -3, -16  # CLOSE - n: the entry became number n of the Bundle
REOPEN = -(1 << 40)  # REOPEN - n: more is written into entry n

__all__ = ["BLANKS", "NOTHING", "NULL", "unescape"]


@dataclass(frozen=True, slots=True)
class Spec:
    """How a resource of an entry is found again and meets what is stored."""

    type: str
    match: str = ""  # '' : never
    pick: Expression | None = None  # of `match`, when it is more than `identifier`
    write: str = "create"
    snapshot: tuple[str, ...] = ()
    keep: tuple[Keep, ...] = ()
    clears: tuple[str, ...] = ()
    numbered: bool = False  # a second one of the same identity in a message is another one
    plan: dict[str, Any] = field(default_factory=dict, compare=False)  # what the writer is told; shared, never changed

    def __post_init__(self) -> None:
        keep = [{"if": k.condition, "elements": list(k.elements)} for k in self.keep]
        self.plan.update({"deletes": [], "snapshot": list(self.snapshot), "keep": keep})
        if self.clears:
            self.plan["clears"] = list(self.clears)


# a reference that waits: entry id, event, what writes it, the object it goes to, the resource around it, whether several may stand,
# the labelled items of that run
Labels = dict[str, Any]
Later = tuple[str, int, Callable[[Any, dict[str, Any], Labels], None], dict[str, Any], dict[str, Any], bool, Labels]


@dataclass(slots=True)
class Run:
    """One run: what came from outside, and what the rows leave beside the value."""

    context: Context
    trace: list[int] = field(default_factory=list)
    root: Any = None  # the whole JSON
    scope: Mapping[str, list[str]] = field(default_factory=dict)  # segment name -> fields, nearest group first
    segments: Mapping[str, list[list[str]]] = field(default_factory=dict)  # every segment of the message
    key: str = ""  # names the message, for the ids of what has no identity
    bundle: list[dict[str, Any]] | None = None  # None: outside a message map
    merges: dict[str, dict[str, Any]] = field(default_factory=dict)
    known: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)
    places: dict[int, int] = field(default_factory=dict)  # id of an entry's resource -> its number in the Bundle
    seconds: dict[tuple[str, str, str], int] = field(default_factory=dict)  # how often an identity was met
    host: dict[str, Any] = field(default_factory=dict)  # the resource that contains what has no identity
    contained: dict[int, tuple[dict[str, Any], set[str]]] = field(
        default_factory=dict
    )  # id of a host -> host, ids in it
    deletes: list[dict[str, Any]] = field(default_factory=list)  # of the resource at hand
    later: list[Later] = field(default_factory=list)
    lost: bool = False  # whether a part of a datatype was left unread
    doubts: dict[int, str] = field(default_factory=dict)  # site of a warning -> what is doubtful

    @property
    def now(self) -> str:
        return self.context.now

    def spawn(self, made: Any, spec: Spec) -> dict[str, Any] | None:
        """A resource made of a field becomes an entry, or is contained; gives the reference to it."""
        if not made or len(made) == 1:
            self.trace.append(VOID)
            return None
        found = identity(made, spec) if self.bundle is not None else None
        if found is None:
            return self._contain(made)
        return _labelled(self.enter(made, spec, found, ""), made)

    def _contain(self, made: dict[str, Any]) -> dict[str, Any]:
        self.trace.append(CONTAINED)
        inside = made.pop("contained", [])
        name = f"{made['resourceType'].lower()}-{self.context.new_id(repr(made))[:18]}"
        held = self.host.setdefault("contained", [])
        names = self._names(self.host)
        for inner in inside:
            if inner["id"] not in names:
                names.add(inner["id"])
                held.append(inner)
        if name not in names:
            names.add(name)
            held.append({"resourceType": made["resourceType"], "id": name} | made)
        return _labelled(f"#{name}", made)

    def _names(self, host: dict[str, Any]) -> set[str]:
        """The ids of what a resource contains."""
        found = self.contained.get(id(host))
        if found is None:
            found = self.contained[id(host)] = (host, set())
        return found[1]

    def enter(self, made: dict[str, Any], spec: Spec, found: tuple[str, str] | None, name: str) -> str:
        """Puts a resource into the Bundle; gives its fullUrl. The same identity is there once."""
        bundle = self.bundle if self.bundle is not None else []
        if found is None:
            self.trace.append(CLOSE - len(bundle))
            self.places[id(made)] = len(bundle)
            url = "urn:uuid:" + self.context.new_id(f"{spec.type}|{self.key}|{name}|{len(bundle)}")
            bundle.append({"fullUrl": url, "resource": made, "request": {"method": "POST", "url": spec.type}})
            return url
        known = self.known.get((spec.type, *found))
        if known is not None:
            self.trace.append(CLOSE - self.places[id(known["resource"])])
            _unite(known["resource"], made, lists=bool(name))
            return str(known["fullUrl"])
        self.trace.append(CLOSE - len(bundle))
        self.places[id(made)] = len(bundle)
        url = "urn:uuid:" + self.context.new_id(f"{spec.type}|{found[0]}|{found[1]}")
        entry = _entry(url, made, spec, found)
        self.known[(spec.type, *found)] = entry
        bundle.append(entry)
        return url

    def number(self, made: dict[str, Any], spec: Spec, found: tuple[str, str] | None) -> tuple[str, str] | None:
        """The identity of an entry; what has one that is there already is another one and gets a number."""
        if found is None or (spec.type, *found) not in self.known:
            return found
        count = self.seconds[(spec.type, *found)] = self.seconds.get((spec.type, *found), 1) + 1
        own = {"system": self.context.source.own, "value": f"{found[1]}/{count}"}
        items = made["identifier"]
        place = next(n for n, item in enumerate(items) if (item.get("system"), item.get("value")) == found)
        items[place] = {**items[place], **own}
        return own["system"], own["value"]

    def settle(self, url: str, spec: Spec, deletes: list[dict[str, Any]]) -> None:
        """Notes what the writer needs to know beside the resource."""
        if spec.write != "update" or not (deletes or spec.snapshot or spec.keep or spec.clears):
            return
        held = self.merges.get(url)
        if held is None:
            self.merges[url] = {**spec.plan, "deletes": deletes} if deletes else spec.plan
            return
        more = [d for d in deletes if d not in held["deletes"]]
        if more or not held["keep"]:
            keep = held["keep"] or spec.plan["keep"]
            self.merges[url] = {**held, "deletes": held["deletes"] + more, "keep": keep}


def _unite(held: dict[str, Any], made: dict[str, Any], *, lists: bool) -> None:
    """Two entries of one identity: what the first has stays; their lists become one."""
    for key, value in made.items():
        if lists and isinstance(value, list) and key in held:
            held[key] = united(held[key], value, "")
        else:
            held.setdefault(key, value)


def _labelled(target: str, made: dict[str, Any]) -> dict[str, Any]:
    label = display(made)
    return {"reference": target, "display": label} if label else {"reference": target}


QUOTED = {n: f"%{n:02X}" for n in range(128) if not (chr(n).isalnum() or chr(n) in "_.-~")}


def _quoted_value(value: str) -> str:
    return value.translate(QUOTED) if value.isascii() else quote(value, safe="")


@lru_cache(1024)
def _quoted(system: str) -> str:
    return quote(system, safe=":/.")


def _entry(url: str, made: dict[str, Any], spec: Spec, found: tuple[str, str]) -> dict[str, Any]:
    value = found[1] if found[1].isascii() and found[1].isalnum() else _quoted_value(found[1])
    query = f"identifier={_quoted(found[0])}%7C{value}"
    if spec.write == "update":
        return {"fullUrl": url, "resource": made, "request": {"method": "PUT", "url": f"{spec.type}?{query}"}}
    if spec.write == "delete":
        return {"fullUrl": url, "resource": made, "request": {"method": "DELETE", "url": f"{spec.type}?{query}"}}
    request = {"method": "POST", "url": spec.type}
    if spec.write == "once":
        request["ifNoneExist"] = query
    return {"fullUrl": url, "resource": made, "request": request}


def identity(made: dict[str, Any], spec: Spec) -> tuple[str, str] | None:
    """(system, value) that finds the stored resource; None when it has none."""
    if not spec.match:
        return None
    items = made.get("identifier")
    if spec.pick is not None and items:
        picked = [i for i in spec.pick.evaluate(made) if isinstance(i, dict)]
        items = picked + (items if isinstance(items, list) else [items])
    for item in items if isinstance(items, list) else [items] if items else []:
        system, value = item.get("system"), item.get("value")
        if system and value:
            return system, value
    return None


def display(made: dict[str, Any]) -> str:
    """What people call a resource: its name, when it has one."""
    name = made.get("name")
    if isinstance(name, str):
        return name
    if not isinstance(name, list) or not name or not isinstance(name[0], dict):
        return ""
    first = name[0]
    words = [*first.get("prefix", ()), *first.get("given", ()), first.get("family", ""), *first.get("suffix", ())]
    return str(first.get("text") or " ".join(word for word in words if word))


# --- parts of fields


def values(raw: str, component: int, subcomponent: int, marks: str) -> list[str]:
    """The texts of all repetitions of a field (or of one part of them), without empty ones.

    A text ends at one of the marks; where nothing stands before it, what is written counts as it is.
    """
    if not raw:
        return []
    found = []
    for item in raw.split("~") if "~" in raw else (raw,):
        if component:
            item = nth(item, "^", component)
        if subcomponent:
            item = nth(item, "&", subcomponent)
        text = item
        for mark in marks:
            text = text.partition(mark)[0]
        if not text and item.strip("^&"):
            text = item
        if "\\" in text:
            text = unescape(text)
        if text and text != NULL:
            found.append(text)
    return found


def repetition(raw: str, number: int) -> str:
    return nth(raw, "~", number)


def nth(text: str, mark: str, number: int) -> str:
    if mark not in text:
        return text if number == 1 else ""
    parts = text.split(mark, number)
    return parts[number - 1] if number <= len(parts) else ""


def same(found: list[Any], wanted: Any) -> bool:
    """FHIRPath's = of a collection and one value; nothing counts as ''."""
    return bool((found[0] if len(found) == 1 else "" if not found else None) == wanted)


def among(found: list[Any], wanted: Any) -> bool:
    return (found[0] if len(found) == 1 else "" if not found else None) in wanted


# --- JSON


def walk(value: Any, names: tuple[Any, ...]) -> list[Any]:
    """The items at a path; lists on the way are walked through. A number picks one item."""
    items = value if isinstance(value, list) else [value]
    for name in names:
        if isinstance(name, int):
            items = items[name : name + 1]
            continue
        found: list[Any] = []
        for item in items:
            below = item.get(name) if isinstance(item, dict) else None
            if isinstance(below, list):
                found += below
            elif below is not None:
                found.append(below)
        items = found
    return [item for item in items if item is not None and item != ""]


def walk_fhir(value: Any, names: tuple[Any, ...]) -> list[Any]:
    """The same over FHIR, where `value` is also valueQuantity."""
    items = value if isinstance(value, list) else [value]
    for name in names:
        if isinstance(name, int):
            items = items[name : name + 1]
            continue
        found: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                below = item.get(name)
                if below is None:
                    below = next((v for k, v in item.items() if k.startswith(name) and k[len(name)].isupper()), None)
                found += below if isinstance(below, list) else [below]
        items = found
    return [item for item in items if item is not None and item != ""]


# --- building


def extension(holder: dict[str, Any], key: str, url: str) -> dict[str, Any]:
    """The extension with that url, made when it is not there."""
    held: list[dict[str, Any]] = holder.setdefault(key, [])
    for item in held:
        if item.get("url") == url:
            return item
    made: dict[str, Any] = {"url": url}
    held.append(made)
    return made


def recode(value: Any, table: Table) -> bool:
    """Puts what a table knows about the codings in front of them; whether it knew any."""
    codings = value.get("coding") if "coding" in value else None
    if codings is None:
        rows = table.find(value.get("code", ""), value.get("system", ""))
        value.update(coding(rows[0]) if rows else {})
        return bool(rows)
    found: list[dict[str, Any]] = []
    for item in codings:
        found += [coding(row) for row in table.find(item.get("code", ""), item.get("system", ""))]
    front = [item for n, item in enumerate(found) if item not in found[:n]]
    marks = [(item.get("system"), item.get("code")) for item in front]
    said = [item.get("code") for item in front]  # the same code without a system says nothing more
    value["coding"] = front + [
        c
        for c in codings
        if (c.get("system"), c.get("code")) not in marks and ("system" in c or c.get("code") not in said)
    ]
    return bool(front)


def refuse(why: str, row: str) -> None:
    """A `fail` row whose condition holds."""
    raise Unmapped(why, where=row, mend="Have the sender mend the message, or change the row in an overlay.")


def fail(place: str, row: str) -> None:
    """`on_miss: fail`."""
    raise Unmapped(
        f"row '{row}' can't map what is in {place}",
        where=place,
        mend="Add the code to the table, or say another on_miss.",
    )
