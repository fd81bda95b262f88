"""Turns every condition of a query, chains and policy's too, into a term over the index tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from suture.errors import TooCostly
from suture.standards.fhir import json
from suture.standards.fhir.index_compartment import compartment_atoms
from suture.standards.fhir.search_match import entries, known_as
from suture.standards.fhir.search_query import (
    AllOf,
    AnyOf,
    Branch,
    Chain,
    Compartment,
    Condition,
    Filter,
    Has,
    Judged,
    Kin,
    Listed,
    Match,
    Member,
    Missing,
    NoneOf,
    Token,
)
from suture.store import names
from suture.store import search_lookup as lookup
from suture.store.index import SEVERAL_PATIENTS, atom_names
from suture.store.resources import read, read_rids
from suture.store.search_check import register
from suture.store.search_joins import both, length
from suture.store.search_sql import ALWAYS, NEVER, At, Probe, Sql, Term, all_of, any_of, either, one_of
from suture.store.search_terms import Scope, coded, match, missing, referring

MOST_CANONICALS = 1_000  # resources that a chain through canonical URLs may lead to
FEW = 2_000  # targets of a chain that are gathered, rather than looked at one by one


def term(scope: Scope, condition: Condition) -> Term:
    return _TERMS[type(condition)](scope, condition)


def terms(scope: Scope, conditions: Sequence[Condition]) -> list[Term]:
    return [term(scope, c) for c in conditions]


# --- across references


def _chain(scope: Scope, c: Chain) -> Term:
    ways = (_branch, _canonical_branch)
    return either([way(scope, c.parameter, branch) for branch in c.branches for way in ways])


def _canonical_branch(scope: Scope, code: str, branch: Branch) -> Term:
    """The same through canonical URLs: the few that are meant are read, others refer to them by URL and version."""
    far = scope.inner(branch.type)
    if not far.pids("url", "urls"):
        return NEVER
    pids, rt = scope.pids(code, "urls"), names.find(scope.connection, branch.type)
    if not pids or not rt:
        return NEVER
    inner = both(scope.connection, terms(far, branch.conditions)) if branch.conditions else ALWAYS
    if inner is NEVER:
        return NEVER
    rids = _some(scope, rt, inner)
    if len(rids) > MOST_CANONICALS:
        mend = f"Narrow what stands behind {code}."
        raise TooCostly(f"more than {MOST_CANONICALS} {branch.type} are meant", where=code, mend=mend)
    urls = {url for row in read_rids(scope.connection, rids) for url in known_as(json.reread(row.body))}
    return coded(scope, pids, lookup.urls(scope.connection, sorted(urls)))


def _some(scope: Scope, rt: int, inner: Term) -> list[int]:
    """The first rows of a type for which a term holds."""
    tests = all_of([Sql("t.op <> 3 AND t.rt = ?", (rt,)), inner.probe(At("t.rid", "t.sd", "t"))])
    source = (
        Sql("res t")
        if inner.scan is None
        else Sql(
            f"(SELECT DISTINCT rid FROM ({inner.scan.text})) far CROSS JOIN res t ON t.rid = far.rid", inner.scan.values
        )
    )
    sql = f"SELECT t.rid FROM {source.text} WHERE {tests.text} LIMIT ?"
    return [rid for (rid,) in scope.connection.all(sql, (*source.values, *tests.values, MOST_CANONICALS + 1))]


def _branch(scope: Scope, code: str, branch: Branch) -> Term:
    """Rows whose reference leads to a resource for which all conditions hold."""
    rt = names.find(scope.connection, branch.type)
    pids = scope.pids(code, "references", target=branch.type)
    inner = both(scope.connection, terms(scope.inner(branch.type), branch.conditions)) if branch.conditions else ALWAYS
    if not pids or not rt or inner is NEVER:
        return NEVER
    c, t = _aliases(scope)
    pid = one_of("pid", pids)

    def probe(at: At) -> Sql:
        tests = all_of([Sql(f"{c}.rid = {at.rid}"), pid, _alive(t, rt), inner.probe(At(f"{t}.rid", f"{t}.sd", t))])
        text = f"SELECT 1 FROM R {c} INDEXED BY R_rid CROSS JOIN res {t} ON {t}.rid = {c}.tgt WHERE {tests.text}"
        return Sql(f"EXISTS ({text})", tests.values)

    if inner.scan is None:
        return Term(probe)
    few = length(scope.connection, inner.scan, FEW) < FEW
    return Term(_among(pid, inner.scan) if few else probe, _leading_to(c, pid, inner.scan))


def _among(pid: Sql, scan: Sql) -> Probe:
    """Leads the row to one of a few, which are gathered once?"""

    def probe(at: At) -> Sql:
        text = (
            f"EXISTS (SELECT 1 FROM R INDEXED BY R_rid WHERE rid = {at.rid} AND {pid.text} AND +tgt IN ({scan.text}))"
        )
        return Sql(text, (*pid.values, *scan.values))

    return probe


def _leading_to(c: str, pid: Sql, scan: Sql) -> Sql:
    text = f"SELECT {c}.rid AS rid FROM ({scan.text}) far CROSS JOIN R {c} WHERE {pid.text} AND {c}.tgt = far.rid"
    return Sql(text, (*scan.values, *pid.values))


def _has(scope: Scope, c: Has) -> Term:
    """Rows that some resource refers to for which all conditions hold."""
    rts, far = scope.rts(), scope.inner(c.type)
    pids = tuple(dict.fromkeys(p for t in scope.types for p in far.pids(c.parameter, "references", target=t)))
    inner = both(scope.connection, terms(far, c.conditions))
    if not pids or not rts or inner is NEVER:
        return NEVER
    r, t = _aliases(scope)
    pid = one_of(f"{r}.pid", pids)

    def probe(at: At) -> Sql:
        tests = all_of([pid, Sql(f"{r}.tgt = {at.rid}"), inner.probe(At(f"{t}.rid", f"{t}.sd", t))])
        text = f"SELECT 1 FROM R {r} CROSS JOIN res {t} ON {t}.rid = {r}.rid WHERE {tests.text}"
        return Sql(f"EXISTS ({text})", tests.values)

    return Term(probe, None if inner.scan is None else _led_to(r, t, pid, inner.scan, rts))


def _led_to(r: str, t: str, pid: Sql, scan: Sql, rts: Sequence[int]) -> Sql:
    alive = all_of([pid, Sql(f"{t}.op <> 3"), one_of(f"{t}.rt", rts)])
    text = (
        f"SELECT {t}.rid AS rid FROM ({scan.text}) far CROSS JOIN R {r} INDEXED BY R_rid ON {r}.rid = far.rid "
        f"CROSS JOIN res {t} ON {t}.rid = {r}.tgt WHERE {alive.text}"
    )
    return Sql(text, (*scan.values, *alive.values))


def _aliases(scope: Scope) -> tuple[str, str]:
    number = next(scope.numbers)
    return f"link{number}", f"end{number}"


def _alive(alias: str, rt: int) -> Sql:
    return Sql(f"{alias}.op <> 3 AND {alias}.rt = ?", (rt,))


# --- what policy adds


def _compartment(scope: Scope, c: Compartment) -> Term:
    """Most rows have one patient, which stands in the row; of the others the references are looked at."""
    rids = tuple(rid for id in c.patients for rid in lookup.rows(scope.connection, ("Patient",), id))
    if not rids:
        return NEVER
    several = referring(_compartment_pids(scope), rids)

    def probe(at: At) -> Sql:
        one = one_of(f"{at.row}.pat", rids)
        referred = any_of([several.probe(at), one_of(at.rid, rids)])
        many = Sql(f"{at.row}.pat = {SEVERAL_PATIENTS} AND ({referred.text})", referred.values)
        return any_of([one, many])

    if "Patient" in scope.types:
        return either([Term(probe, _alive_rows(rids), row=True), Term(several.probe, several.scan, row=True)])
    return Term(probe, several.scan, several.listed, several.lists, row=True)


def _alive_rows(rids: Sequence[int]) -> Sql:
    where = one_of("rid", rids)
    return Sql(f"SELECT rid FROM res WHERE op <> 3 AND {where.text}", where.values)


def _compartment_pids(scope: Scope, owner: str = "Patient") -> tuple[int, ...]:
    found = (
        names.find(scope.connection, atom_names(type)[number])
        for type in scope.types
        for number in sorted(compartment_atoms(type, owner))
    )
    return tuple(n for n in dict.fromkeys(found) if n)


def _member(scope: Scope, c: Member) -> Term:
    """What refers to the owner by the parameters of its compartment, and the owner itself."""
    rids = lookup.rows(scope.connection, (c.owner,), c.id)
    if not rids:
        return NEVER
    members = referring(_compartment_pids(scope, c.owner), rids)
    if c.owner not in scope.types:
        return members
    return either([Term(lambda at: one_of(at.rid, rids), _alive_rows(rids)), members])


def _listed(scope: Scope, c: Listed) -> Term:
    """What the Lists refer to; an entry that is marked deleted is found in the body of its List."""
    return either([_in_list(scope, id, c.conditions) for id in c.lists])


def _in_list(scope: Scope, id: str, conditions: Sequence[Condition]) -> Term:
    found = read(scope.connection, "List", id)
    if found is None or found.deleted:
        return NEVER
    its_id = Match("_id", "token", (Token(None, id),))
    term = _has(scope, Has("List", "item", (its_id, *conditions)))
    gone = _crossed_out(scope, json.reread(found.body))
    if not gone or term is NEVER:
        return term

    def probe(at: At) -> Sql:
        inner = term.probe(at)
        return Sql(f"{inner.text} AND {at.rid} NOT IN ({','.join(map(str, gone))})", inner.values)

    scan = term.scan
    kept = (
        Sql(f"SELECT rid FROM ({scan.text}) WHERE rid NOT IN ({','.join(map(str, gone))})", scan.values)
        if scan
        else None
    )
    return Term(probe, kept, row=term.row, dear=term.dear)


def _crossed_out(scope: Scope, listing: dict[str, Any]) -> list[int]:
    """Row numbers of what stands in the List only as deleted."""
    base = scope.connection.shared.base
    marked = {"entry": [{"item": e.get("item", {})} for e in listing.get("entry", ()) if e.get("deleted")]}
    gone = entries(marked, base) - entries(listing, base)
    return sorted(rid for type, id in gone for rid in lookup.rows(scope.connection, (type,), id))


def _any(scope: Scope, c: AnyOf) -> Term:
    found = terms(scope, c.conditions)
    return ALWAYS if ALWAYS in found else either(found)


def _all(scope: Scope, c: AllOf) -> Term:
    return both(scope.connection, terms(scope, c.conditions)) if c.conditions else ALWAYS


def _none(scope: Scope, c: NoneOf) -> Term:
    """Nothing can be listed by what is not there; what is unknown of a row counts as not there."""
    inner = either(terms(scope, c.conditions))
    if inner is NEVER:
        return ALWAYS
    if inner is ALWAYS:
        return NEVER

    def probe(at: At) -> Sql:
        found = inner.probe(at)
        return Sql(f"NOT ifnull({found.text}, FALSE)", found.values)

    return Term(probe, row=inner.row, dear=inner.dear)


def _judged(scope: Scope, c: Judged) -> Term:
    """The body is looked into only where the row's patient, or one of several, has a restriction."""
    number = register(scope.connection, c)
    devices = _devices(scope)

    def probe(at: At) -> Sql:
        asked = f"{at.row}.pat = {SEVERAL_PATIENTS} OR {at.row}.pat IN (SELECT pat FROM restriction)"
        if devices:
            asked += f" OR EXISTS (SELECT 1 FROM R WHERE rid = {at.rid} AND pid = {devices} AND tgt IN (SELECT pat FROM restriction))"
        return Sql(f"CASE WHEN {asked} THEN suture_holds(?, {at.rid}) ELSE TRUE END", (number,))

    return Term(probe, row=True)


def _devices(scope: Scope) -> int:
    """The number of Device.patient, which R4's compartment leaves out; 0 where no device is searched for."""
    pids = scope.inner("Device").pids("patient", "references", target="Patient") if "Device" in scope.types else ()
    return pids[0] if pids else 0


_TERMS: dict[type, Callable[[Scope, Any], Term]] = {
    Match: match,
    Missing: missing,
    Chain: _chain,
    Has: _has,
    Compartment: _compartment,
    Member: _member,
    Listed: _listed,
    Kin: lambda scope, c: _any(scope, c.ways),
    Filter: lambda scope, c: term(scope, c.condition),
    AnyOf: _any,
    AllOf: _all,
    NoneOf: _none,
    Judged: _judged,
}
