"""Which resources an export holds: of everybody, of patients, of a group; judged one by one, as they were at its moment.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html#endpoints
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import compartment, policy, withheld
from suture.access.caller import Caller
from suture.access.policy import Reach
from suture.errors import Forbidden
from suture.services.audit.event import TYPE as MADE
from suture.services.bulk.request import Wanted, pairs_of
from suture.standards.fhir import json, search
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.index_time import moment_range
from suture.standards.fhir.search import SearchQuery, matches
from suture.store import holes, resources, scan
from suture.store.bodies import Damaged, DamagedPage
from suture.store.connection import Connection
from suture.store.holes import Place, Unread
from suture.store.index import NO_PATIENT, SEVERAL_PATIENTS
from suture.store.resources import DELETE, METHOD_OF, Row
from suture.store.scan import Version

PROVENANCE = "Provenance"
# an export finds resources and shows them: SMART's letters s and r (docs/bulk-data.md, Scopes)
EXPORTS = ("read", "search-type")
GROUP = "Group"
# what is nobody's comes along when something that is exported refers to it
CARRIED = frozenset(compartment.SHARED | {"Binary"})
_REFERS = re.compile(
    rb'"(?:reference|url)"\s*:\s*"(?:[^"\s]{0,500}/)?([A-Z][A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/\d+)?"'
)


@dataclass(slots=True)
class Found:
    """What a scan gathers: row numbers by type, what they refer to, and what was deleted."""

    rows: dict[str, list[int]] = field(default_factory=dict)
    deleted: list[int] = field(default_factory=list)
    refers: set[Place] = field(default_factory=set)
    unread: Unread = field(default_factory=dict)  # what is damaged


@dataclass(slots=True)
class Selection:
    """One scan. `told` is called with how many resources were looked at; it may raise to end the scan."""

    connection: Connection
    wanted: Wanted
    moment: int
    told: Callable[[int], None] = lambda _: None
    found: Found = field(default_factory=Found)
    joined: set[str] = field(default_factory=set)
    seen: int = 0

    def run(self) -> Found:
        """Looks at every resource once; what others refer to, and Provenance, after that."""
        self.joined = joined(self.connection, self.wanted, self.moment)
        simple = self.wanted.level == "system" and not self.wanted.filters and not self.wanted.since
        types = self._types()
        plain = [type for type in types if simple and all_of(self.connection, self.wanted.caller, type)]
        self._take_all(plain)
        for type in types:
            if type not in plain:
                self._judge_all(type)
        if self.wanted.level != "system":
            self._carry()
            self._provenance()
            types += [PROVENANCE, *CARRIED]
        holes.name(self.connection, self.found.unread, types)
        return self.found

    def _judge(self) -> Callable[[Row], bool]:
        caller = self.wanted.caller
        return found_too(self.connection, caller, guard.judge(self.connection, caller, "read"))

    def _types(self) -> list[str]:
        """Those of members: of the system all, else those that can be a patient's."""
        there = [type for type in scan.types(self.connection) if type != MADE]
        if self.wanted.level != "system":
            there = [t for t in there if t == "Patient" or compartment.parameters(t)]
            there = [t for t in there if t != PROVENANCE]
        asked = self.wanted.types
        return [t for t in there if not asked or t in asked or self._carries(t)]

    def _carries(self, type: str) -> bool:
        """Whether a type is scanned for what it refers to, though it is not exported itself."""
        asked = self.wanted.types
        return self.wanted.level != "system" and (
            any(t in CARRIED for t in asked) or PROVENANCE in asked or bool(self.wanted.provenance)
        )

    def _take_all(self, types: list[str]) -> None:
        for part in scan.rids(self.connection, self.moment, types, self.found.unread):
            for type, rids in part.items():
                self.found.rows.setdefault(type, []).extend(rids)
                self._tell(len(rids))

    def _judge_all(self, type: str) -> None:
        judged = self._judge()
        mine, fits = self._members(), self._filter(type)
        for versions in scan.versions(self.connection, self.moment, (type,), self.found.unread):
            for version, row in readable(self.connection, versions, self.found.unread):
                try:
                    self._look(version, row, judged, mine, fits)
                except DamagedPage as error:  # of what it is judged by
                    self._lose(row, error)
            self._tell(len(versions))

    def _lose(self, row: Row, error: DamagedPage) -> None:
        holes.lose(self.connection, self.found.unread, row.rid, error, (row.type, row.id))

    def _look(
        self,
        version: Version,
        row: Row,
        judged: Callable[[Row], bool],
        mine: Callable[[Version, bytes], bool],
        fits: Callable[[bytes], bool],
    ) -> None:
        body = row.body or resources.last_body(self.connection, row)
        if not mine(version, body) or not judged(row):
            return
        if row.deleted:
            if self.wanted.since and row.updated > self.wanted.since and self._exported(row.type):
                self.found.deleted.append(row.rid)
            return
        if self.wanted.level != "system":
            self.found.refers.update((t.decode(), id.decode()) for t, id in _REFERS.findall(body))
        in_time = row.updated > self.wanted.since or (bool(self.joined) and self._joined(version, body))
        if in_time and self._exported(row.type) and fits(body):
            self.found.rows.setdefault(row.type, []).append(row.rid)

    def _joined(self, version: Version, body: bytes) -> bool:
        """Whether it is of a patient who came into the group after `_since`."""
        owners = {version.id} if version.type == "Patient" else _owners(self, body)
        return not owners.isdisjoint(self.joined)

    def _exported(self, type: str) -> bool:
        return not self.wanted.types or type in self.wanted.types

    def _members(self) -> Callable[[Version, bytes], bool]:
        """Whether a version belongs to one of the patients."""
        if self.wanted.level == "system":
            return lambda version, body: True
        ids = patients(self.connection, self.wanted, self.moment)
        if ids is None:
            return lambda version, body: version.type == "Patient" or _of_somebody(self, version, body)
        rids = {scan.number(self.connection, "Patient", id) for id in ids} - {0}
        return lambda version, body: _within(self, version, body, rids, ids)

    def _filter(self, type: str) -> Callable[[bytes], bool]:
        queries: list[SearchQuery] = [
            search.parse(type, pairs_of(text)) for of, text in self.wanted.filters if of == type
        ]
        if not queries:
            return lambda body: True
        return lambda body: any(matches(q, json.reread(body), base=self.connection.shared.base) for q in queries)

    def _carry(self) -> None:
        """What is nobody's and is referred to, and what that refers to again."""
        judged = self._judge()
        known: set[Place] = set()
        while fresh := {p for p in self.found.refers if p[0] in CARRIED} - known:
            known |= fresh
            for type, id in sorted(fresh):
                try:
                    self._carried(type, id, judged)
                except DamagedPage:
                    holes.lose_place(self.found.unread, (type, id))

    def _carried(self, type: str, id: str, judged: Callable[[Row], bool]) -> None:
        rid = scan.number(self.connection, type, id)
        versions = scan.of_rows(self.connection, self.moment, [rid]) if rid else []
        for _, row in readable(self.connection, versions, self.found.unread):
            if row.deleted or not may(self.wanted.caller, row, judged):
                continue
            self.found.refers.update((t.decode(), i.decode()) for t, i in _REFERS.findall(row.body))
            if (
                self._exported(type)
                and (row.updated > self.wanted.since or self.joined)
                and self._filter(type)(row.body)
            ):
                self.found.rows.setdefault(type, []).append(row.rid)

    def _provenance(self) -> None:
        """Provenance of what is exported: unless types were named without it, or when it was asked for."""
        if not self._exported(PROVENANCE) and not self.wanted.provenance:
            return
        exported = {rid for rids in self.found.rows.values() for rid in rids}
        judged = self._judge()
        newest: dict[int, tuple[str, int]] = {}
        taken: list[int] = []
        for versions in scan.versions(self.connection, self.moment, (PROVENANCE,), self.found.unread):
            for _, row in readable(self.connection, versions, self.found.unread):
                try:
                    about = targets(self.connection, row) & exported if not row.deleted else set()
                    allowed = bool(about) and may(self.wanted.caller, row, judged)
                except DamagedPage as error:
                    self._lose(row, error)
                    continue
                if not allowed:
                    continue
                taken.append(row.rid)
                recorded = str(json.reread(row.body).get("recorded", ""))
                for target in about:
                    newest[target] = max(newest.get(target, ("", 0)), (recorded, row.rid))
            self._tell(len(versions))
        latest = self.wanted.provenance == "LatestProvenanceResources"
        rids = sorted({rid for _, rid in newest.values()}) if latest else taken
        if rids:
            self.found.rows[PROVENANCE] = rids

    def _tell(self, count: int) -> None:
        self.seen += count
        self.told(self.seen)


def row_of(connection: Connection, version: Version) -> Row:
    """The version as a row, unpacked."""
    body = (
        b"" if version.body is None or version.method == DELETE else connection.bodies.unpack(version.zd, version.body)
    )
    return Row(version.rid, version.type, version.id, version.version, version.updated, METHOD_OF[version.method], body)


def readable(connection: Connection, versions: Iterable[Version], unread: Unread) -> Iterator[tuple[Version, Row]]:
    """The versions with their rows; what is damaged is written down in `unread` instead."""
    for version in versions:
        try:
            row = row_of(connection, version)
        except Damaged:
            unread[version.rid] = version.type, version.id
            continue
        yield version, row


def require(caller: Caller, wanted: Wanted) -> None:
    """Raises when the caller reaches nothing of what is wanted; types that are named must all be reachable."""
    for type in wanted.types:
        if type not in CARRIED:
            require_type(caller, type)
    if not wanted.types and not any(reaches(caller, type) for type in RESOURCE_TYPES):
        mend = "It needs scopes such as system/*.rs: an export finds resources (s) and shows them (r)."
        raise Forbidden(f"'{caller.name}' may not both find and read anything", where="$export", mend=mend)


def require_type(caller: Caller, type: str) -> None:
    """Raises Forbidden unless the caller may read resources of a type and search for them."""
    for interaction in EXPORTS:
        policy.require(caller, interaction, type)


def reaches(caller: Caller, type: str) -> bool:
    """Whether there is anything of a type that the caller may both read and search for."""
    return all(policy.reach(caller, interaction, type) is not Reach.NOTHING for interaction in EXPORTS)


def all_of(connection: Connection, caller: Caller, type: str) -> bool:
    """Whether nothing of a type is kept from the caller."""
    wide = all(policy.reach(caller, interaction, type) is Reach.EVERYTHING for interaction in EXPORTS)
    return wide and withheld.of(connection, caller) is None


def judge_versions(connection: Connection, caller: Caller) -> Callable[[Row], bool]:
    """Whether a version may be shown, by what it says and by what its resource says today."""
    return found_too(connection, caller, guard.judge_versions(connection, caller, "read"))


def found_too(connection: Connection, caller: Caller, judged: Callable[[Row], bool]) -> Callable[[Row], bool]:
    """What may be read, as long as it may be searched for too: by scopes that give one letter only these differ."""
    if all(("r" in scope.letters) == ("s" in scope.letters) for scope in caller.scopes):
        return judged
    found = guard.judge(connection, caller, "search-type", None)
    return lambda row: judged(row) and found(row)


def may(caller: Caller, row: Row, judged: Callable[[Row], bool]) -> bool:
    """Binaries and Provenance come with what they are about, when the caller's scopes name their type at all."""
    if row.type in ("Binary", PROVENANCE) and policy.reach(caller, "read", row.type) is Reach.NOTHING:
        return all(any(x in scope.letters and scope.type in ("*", row.type) for scope in caller.scopes) for x in "rs")
    return judged(row)


def patients(connection: Connection, wanted: Wanted, moment: int) -> set[str] | None:
    """The ids an export is bound to; None for all patients."""
    group = members(connection, wanted.group, moment) if wanted.level == "group" else None
    if not wanted.patients:
        return group
    return set(wanted.patients) & group if group is not None else set(wanted.patients)


def missing(connection: Connection, wanted: Wanted, moment: int) -> int:
    """How many of the patients that were named there are not, or not in the group."""
    there = patients(connection, wanted, moment) or set()
    judged = guard.judge(connection, wanted.caller, "read")
    return len(set(wanted.patients)) - sum(_shown(connection, id, judged) for id in there & set(wanted.patients))


def _shown(connection: Connection, patient: str, judged: Callable[[Row], bool]) -> bool:
    """Whether a patient is there, as far as the caller may know; one who can't be read is named as that."""
    try:
        row = resources.read(connection, "Patient", patient)
        return row is not None and not row.deleted and judged(row)
    except DamagedPage:
        return True


def members(connection: Connection, group: str, moment: int) -> set[str]:
    """The patients who are active members of a Group."""
    rid = scan.number(connection, GROUP, group)
    versions = scan.of_rows(connection, moment, [rid]) if rid else []
    rows = [row_of(connection, version) for version in versions]
    resource: dict[str, Any] = json.reread(rows[0].body) if rows and not rows[0].deleted else {}
    return set(_members(resource, moment, connection.shared.base))


def joined(connection: Connection, wanted: Wanted, moment: int) -> set[str]:
    """The patients who came into the group after `_since`: all of their records are new to who asks."""
    if wanted.level != "group" or not wanted.since:
        return set()
    there = patients(connection, wanted, moment) or set()
    return there - members(connection, wanted.group, wanted.since)


def _members(group: dict[str, Any], moment: int, base: str) -> Iterator[str]:
    for member in group.get("member", []):
        type, _, rest = member.get("entity", {}).get("reference", "").removeprefix(base).partition("/")
        if type == "Patient" and not member.get("inactive") and _during(member.get("period", {}), moment):
            yield rest.partition("/")[0]


def _during(period: dict[str, Any], moment: int) -> bool:
    begun = "start" not in period or moment_range(period["start"])[0] <= moment
    return begun and ("end" not in period or moment < moment_range(period["end"])[1])


def _within(selection: Selection, version: Version, body: bytes, rids: set[int], ids: set[str]) -> bool:
    if version.type == "Patient":
        return version.rid in rids
    pat = _pat(version)
    if pat not in (None, SEVERAL_PATIENTS):
        return pat in rids
    return bool(_owners(selection, body) & ids)


def _of_somebody(selection: Selection, version: Version, body: bytes) -> bool:
    pat = _pat(version)
    return bool(_owners(selection, body)) if pat is None else pat != NO_PATIENT


def _pat(version: Version) -> int | None:
    """Whose it is, as the index says; None where the index does not know."""
    return None if version.type in compartment.ADDED else version.pat


def _owners(selection: Selection, body: bytes) -> set[str]:
    return compartment.owners(json.reread(body), selection.connection.shared.base) if body else set()


def targets(connection: Connection, row: Row) -> set[int]:
    """The row numbers of what a Provenance is about."""
    base, found = connection.shared.base, set[int]()
    for target in json.reread(row.body).get("target", []):
        type, _, rest = target.get("reference", "").removeprefix(base).partition("/")
        found.add(scan.number(connection, type, rest.partition("/")[0]) if rest else 0)
    return found - {0}
