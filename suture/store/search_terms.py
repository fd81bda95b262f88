"""Turns the conditions of a query into terms over the index tables: https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count

from suture.errors import InvalidSearch
from suture.standards.fhir import index
from suture.standards.fhir.definitions import search_parameter
from suture.standards.fhir.index_atoms import one_value
from suture.standards.fhir.index_dates import one_date, primary_atoms
from suture.standards.fhir.search_compare import above, below
from suture.standards.fhir.search_query import (
    ALL_TYPES,
    Match,
    Missing,
    Moment,
    Nearby,
    Number,
    Parts,
    Target,
    Text,
    Token,
    TypedIdentifier,
    Uri,
    Words,
)
from suture.standards.fhir.search_tables import component_parameters
from suture.standards.fhir.search_words import NARRATIVE
from suture.store import fulltext, names, postings
from suture.store import search_lookup as lookup
from suture.store import search_values as values
from suture.store.connection import Connection
from suture.store.ids import key_of
from suture.store.index import SPAN, TYPED, bounded
from suture.store.search_check import register
from suture.store.search_joins import both
from suture.store.search_sql import ALWAYS, NEVER, At, Probe, Sql, Term, all_of, any_of, either, inverse, one_of

MOST_KEYS = 16
PLACES = {
    "tokens": "T",
    "urls": "T",
    "token_pairs": "T",
    "words": "I",
    "identifiers": "I",
    "references": "R",
    "strings": "S",
    "dates": "D",
    "quantities": "Q",
}  # where the lists of Rows stand


class Scope:
    """What terms are built for: rows of one type, or (in searches over all types) of several."""

    def __init__(self, connection: Connection, types: Sequence[str], numbers: Iterator[int] | None = None) -> None:
        self.connection = connection
        self.types = tuple(types)
        self.numbers = numbers or count(1)  # of the aliases of inner tables

    def inner(self, type: str) -> Scope:
        return Scope(self.connection, (type,), self.numbers)

    def pids(self, code: str, rows: str, mark: str = "", target: str = "") -> tuple[int, ...]:
        return lookup.parameters(self.connection, self.types, code, rows, mark, target)

    def rts(self) -> tuple[int, ...]:
        return tuple(n for t in self.types if (n := names.find(self.connection, t)))


def _checked(scope: Scope, condition: Match, term: Term) -> Term:
    """What the index can't tell to the letter is looked up in the body, for the rows that come so far."""
    number = register(scope.connection, condition)

    def probe(at: At) -> Sql:
        inner = term.probe(at)
        return Sql(f"CASE WHEN {inner.text} THEN suture_holds(?, {at.rid}) ELSE FALSE END", (*inner.values, number))

    scan = None
    if term.scan is not None:
        scan = Sql(f"SELECT rid FROM ({term.scan.text}) WHERE suture_holds(?, rid)", (*term.scan.values, number))
    return Term(probe, scan, row=term.row, low=term.low, high=term.high)


def missing(scope: Scope, c: Missing) -> Term:
    """Most rows are looked up by resource. Tokens and identifiers are gathered once a statement; of few rows, read in the body."""
    lists = {name for t in scope.types for number in index.atoms(t, c.parameter) for name in index.lists(t)[number]}
    names_ = sorted(lists & set(PLACES))
    dear = not lists.isdisjoint(("tokens", "urls", "words", "identifiers"))
    number = register(scope.connection, c) if dear else 0

    @cache
    def present() -> list[Probe]:
        places = (place for name in names_ for place in places_of(scope, c.parameter, name))
        return [_present(scope, table, pids) for table, pids in places]

    def probe(at: At) -> Sql:
        if dear and at.few:
            return Sql(f"suture_holds(?, {at.rid})", (number,))
        found = any_of(p(at) for p in present())
        return Sql(f"NOT ({found.text})", found.values) if c.missing else found

    return Term(probe, dear=dear)


def places_of(scope: Scope, code: str, name: str) -> list[tuple[str, tuple[int, ...]]]:
    """The tables where a list of Rows stands, with the parameter's numbers there."""
    found = [(PLACES[name], scope.pids(code, name))]
    if name == "quantities":
        found.append(("W", scope.pids(code, name, SPAN)))
    return [(table, pids) for table, pids in found if pids]


def _present(scope: Scope, table: str, pids: Sequence[int]) -> Probe:
    gathered = table in ("T", "I")
    mine = postings.of(scope.connection, table, pids, one=not gathered)

    def probe(at: At) -> Sql:
        if gathered:
            return Sql(f"{at.rid} IN (SELECT rid FROM {table} WHERE {mine.text})", mine.values)
        text = f"EXISTS (SELECT 1 FROM {table} INDEXED BY {table}_rid WHERE rid = {at.rid} AND {mine.text})"
        return Sql(text, mine.values)

    return probe


# --- one parameter


def match(scope: Scope, c: Match) -> Term:
    if c.parameter == "_id":
        term = _by_id(scope, c)
    elif c.parameter == "_lastUpdated":
        term = either([values.updated(v) for v in c.values if isinstance(v, Moment)])
    else:
        term = _KINDS[c.kind](scope, c)
    return inverse(term) if c.modifier in ("not", "not-in") else term


def _by_id(scope: Scope, c: Match) -> Term:
    keys = [key_of(v.code) for v in c.values if isinstance(v, Token) and v.code and not v.system]
    rts = scope.rts()
    if not keys or not rts:
        return NEVER
    where = all_of([one_of("fid", keys), one_of("rt", rts)])
    return Term(
        lambda at: one_of(f"{at.row}.fid", keys),
        Sql(f"SELECT rid FROM res WHERE op <> 3 AND {where.text}", where.values),
        row=True,
    )


def coded(scope: Scope, pids: Sequence[int], tids: Sequence[int]) -> Term:
    """Rows of T with one of the parameters and one of the codes: lists in order of date, probed by exact key."""
    lids = postings.find(scope.connection, pids, tids)
    if not lids:
        return NEVER
    where = one_of("lid", lids)

    def probe(at: At) -> Sql:
        if len(lids) > MOST_KEYS:  # a look in each list would be more than one for all, gathered once a statement
            return Sql(f"+{at.rid} IN (SELECT rid FROM T WHERE {where.text})", where.values)
        return _exactly("T", where, at)

    lists = tuple(Sql("lid = ?", (lid,)) for lid in lids)
    return Term(probe, Sql(f"SELECT rid FROM T WHERE {where.text}", where.values), "T", lists)


def referring(pids: Sequence[int], rids: Sequence[int]) -> Term:
    """Rows of R with one of the parameters and one of the targets: the same."""
    if not pids or not rids:
        return NEVER
    where = all_of([one_of("pid", pids), one_of("tgt", rids)])

    def probe(at: At) -> Sql:
        if len(rids) * len(pids) > MOST_KEYS:  # a look for each would be more than one by the resource
            far = where.text.replace("tgt IN", "+tgt IN")
            return Sql(f"EXISTS (SELECT 1 FROM R INDEXED BY R_rid WHERE rid = {at.rid} AND {far})", where.values)
        return _exactly("R", where, at)

    lists = tuple(Sql("pid = ? AND tgt = ?", (p, r)) for p in pids for r in rids)
    return Term(probe, Sql(f"SELECT rid FROM R WHERE {where.text}", where.values), "R", lists)


def _exactly(table: str, where: Sql, at: At) -> Sql:
    text = f"EXISTS (SELECT 1 FROM {table} WHERE {where.text} AND sd = {at.sd} AND rid = {at.rid})"
    return Sql(text, where.values)


def _words(pids: Sequence[int], texts: Sequence[str], tids: Sequence[int] | None) -> Term:
    """Rows of I; without `tids`, of any system."""
    if not pids or not texts or tids == ():
        return NEVER
    parts = [one_of("pid", pids), one_of("val", [bounded(t) for t in texts])]
    return _rows_of_i(all_of(parts if tids is None else [*parts, one_of("tid", tids)]))


def _rows_of_i(where: Sql) -> Term:
    def probe(at: At) -> Sql:
        return Sql(f"EXISTS (SELECT 1 FROM I WHERE {where.text} AND rid = {at.rid})", where.values)

    return Term(probe, Sql(f"SELECT rid FROM I WHERE {where.text}", where.values))


def _token(scope: Scope, c: Match) -> Term:
    if c.modifier == "text":
        return _checked(scope, c, ALWAYS)
    if c.modifier == "ne":
        return _unequal(scope, c)
    if c.modifier in ("in", "not-in", "above", "below"):
        return either([*_tokens(scope, c.parameter, list(c.members))])
    wanted = [v for v in c.values if isinstance(v, Token)]
    typed = [_typed(scope, c.parameter, v) for v in c.values if isinstance(v, TypedIdentifier)]
    return either([*typed, *_tokens(scope, c.parameter, list(wanted))])


def _unequal(scope: Scope, c: Match) -> Term:
    """Some value is another one. Where there may be several, what has the value asked for is looked into."""
    number, there = register(scope.connection, c), missing(scope, Missing(c.parameter, c.kind, missing=False))
    equal = either([*_tokens(scope, c.parameter, [v for v in c.values if isinstance(v, Token)])])
    single = all(one_value(t, c.parameter) for t in scope.types)

    def probe(at: At) -> Sql:
        if at.few:
            return Sql(f"suture_holds(?, {at.rid})", (number,))
        present, same = there.probe(at), equal.probe(at)
        other = Sql("FALSE") if single else Sql(f"suture_holds(?, {at.rid})", (number,))
        text = f"CASE WHEN NOT ({present.text}) THEN FALSE WHEN {same.text} THEN {other.text} ELSE TRUE END"
        return Sql(text, (*present.values, *same.values, *other.values))

    return Term(probe, row=equal.row, dear=True)


def _tokens(scope: Scope, code: str, wanted: Sequence[Token]) -> Iterator[Term]:
    yield coded(scope, scope.pids(code, "tokens"), lookup.tokens(scope.connection, wanted))
    yield _of_system(scope.pids(code, "tokens"), [t.system for t in wanted if t.code is None and t.system])
    plain = [t.code.lower() for t in wanted if t.code and not t.system]
    yield _words(scope.pids(code, "words"), plain, None)
    yield from _identifiers(scope, code, wanted)


def _of_system(pids: Sequence[int], systems: Sequence[str]) -> Term:
    """Any code of a system; the systems are few and their codes are looked up in SQL."""
    if not pids or not systems:
        return NEVER
    of = all_of([one_of("posting.pid", pids), one_of("tok.sys", systems)])
    text = f"SELECT posting.lid FROM posting CROSS JOIN tok ON tok.tid = posting.tid WHERE {of.text}"
    where = Sql(f"lid IN ({text})", of.values)
    return Term(lambda at: _exactly("T", where, at), Sql(f"SELECT rid FROM T WHERE {where.text}", where.values))


def _identifiers(scope: Scope, code: str, wanted: Sequence[Token]) -> Iterator[Term]:
    """One term for each system: value and system belong together."""
    pids = scope.pids(code, "identifiers")
    for system in dict.fromkeys(t.system for t in wanted) if pids else ():
        tids = None if system is None else lookup.systems(scope.connection, [system])
        yield _words(pids, [t.code for t in wanted if t.code and t.system == system], tids)
        if tids and any(t.code is None and t.system == system for t in wanted):
            yield _rows_of_i(all_of([one_of("pid", pids), one_of("tid", tids)]))


def _typed(scope: Scope, code: str, wanted: TypedIdentifier) -> Term:
    tids = lookup.tokens(scope.connection, [Token(wanted.system, wanted.code)])
    return _words(scope.pids(code, "typed", TYPED), [wanted.value], tids)


def _string(scope: Scope, c: Match) -> Term:
    pids = scope.pids(c.parameter, "strings")
    term = either([values.text(pids, v, c.modifier) for v in c.values if isinstance(v, Text)])
    return _checked(scope, c, term) if c.modifier == "exact" and term is not NEVER else term


def _date(scope: Scope, c: Match) -> Term:
    pids = scope.pids(c.parameter, "dates")
    sorting = len(scope.types) == 1 and is_sorting(scope.types[0], c.parameter) and one_date(scope.types[0])
    dates = [v for v in c.values if isinstance(v, Moment)]
    return either([values.date(scope.connection, pids, v, sorting=sorting) for v in dates])


def is_sorting(type: str, code: str) -> bool:
    """Is this the date that stands in the type's postings?"""
    return bool(primary_atoms(type)) and frozenset(index.atoms(type, code)) == primary_atoms(type)


def _number(scope: Scope, c: Match) -> Term:
    if any(isinstance(v, Number) and v.prefix == "co" for v in c.values):
        return _checked(scope, c, missing(scope, Missing(c.parameter, c.kind, missing=False)))
    numbers = [v for v in c.values if isinstance(v, Number)]
    return either([_measured(scope, c.parameter, "quantities", _units(scope, c.kind, v)) for v in numbers])


def _units(scope: Scope, kind: str, v: Number) -> dict[Number, list[int]]:
    if kind == "quantity":
        return lookup.units(scope.connection, v)
    return {v: list(lookup.plain_number(scope.connection))}


def _measured(scope: Scope, code: str, name: str, asked: dict[Number, list[int]]) -> Term:
    """A number in each unit in which it may be stored."""
    return either([values.number(*_measures(scope, code, name, units), number) for number, units in asked.items()])


def _measures(scope: Scope, code: str, name: str, units: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lists of numbers, and those of spans, in these units."""
    points, spans = scope.pids(code, name), scope.pids(code, name, SPAN)
    return postings.find(scope.connection, points, units), postings.find(scope.connection, spans, units)


def _uri(scope: Scope, c: Match) -> Term:
    uris = [v.text for v in c.values if isinstance(v, Uri)]
    if c.modifier == "below":
        tids = [t for u in uris for t in lookup.urls_below(scope.connection, below(u), c.parameter)]
    else:
        tids = []
    wanted = {h for u in uris for h in above(u)} if c.modifier == "above" else uris
    found = dict.fromkeys([*tids, *lookup.urls(scope.connection, wanted)])
    return coded(scope, scope.pids(c.parameter, "urls"), tuple(found))


def _reference(scope: Scope, c: Match) -> Term:
    if c.modifier == "identifier":
        return either(list(_identifiers(scope, c.parameter, [v for v in c.values if isinstance(v, Token)])))
    targets = [v for v in c.values if isinstance(v, Target)]
    urls = [f"{v.url}|{v.version}" if v.version else v.url for v in targets if v.url]
    elsewhere = coded(scope, scope.pids(c.parameter, "urls"), lookup.urls(scope.connection, urls))
    return either([*_here(scope, c.parameter, [v for v in targets if v.id]), elsewhere])


def _here(scope: Scope, code: str, targets: Sequence[Target]) -> Iterator[Term]:
    """One term for each type that is led to."""
    far = far_types(scope.types, code)
    wanted = dict.fromkeys((t, v.id) for v in targets for t in ((v.type,) if v.type else far))
    found = lookup.places(scope.connection, wanted)
    for type in dict.fromkeys(type for type, _ in wanted):
        rids = tuple(rid for place, rid in found.items() if place[0] == type)
        yield referring(scope.pids(code, "references", target=type), rids)


def far_types(types: Sequence[str], code: str) -> tuple[str, ...]:
    """The types a reference parameter may lead to."""
    found = [p for t in types if (p := search_parameter(t, code))]
    named = [t for p in found for t in p.targets if t in ALL_TYPES]
    return tuple(dict.fromkeys(named)) or ALL_TYPES


def _full_text(scope: Scope, c: Match) -> Term:
    """Rows of any type are found by their words, then those of the types that are searched are kept."""
    _require_text(scope, c.parameter)
    column = "narrative" if c.parameter == NARRATIVE else "content"
    keeper, rts = fulltext.back(scope.connection), scope.rts()
    return either([_worded(keeper.matching(column, v), rts) for v in c.values if isinstance(v, Words) and rts])


def _worded(found: Sql, rts: Sequence[int]) -> Term:
    of_type = one_of("worded.rt", rts)
    text = f"SELECT worded.rid AS rid FROM ({found.text}) hit CROSS JOIN res worded ON worded.rid = hit.rid WHERE worded.op <> 3"
    return Term(
        lambda at: Sql(f"+{at.rid} IN ({found.text})", found.values),
        Sql(f"{text} AND {of_type.text}", (*found.values, *of_type.values)),
    )


def _require_text(scope: Scope, code: str) -> None:
    now = fulltext.standing(scope.connection)
    if now.mode == fulltext.OFF or (now.mode != fulltext.ALL and code != NARRATIVE):
        mend = "The setting search.text = all keeps it, narrative keeps _text alone."
        raise InvalidSearch("this full text is not kept here", where=code, mend=mend)
    if not now.built:
        mend = "Ask again in a while."
        raise InvalidSearch(f"the index of the full text is still being built ({now.percent} %)", where=code, mend=mend)


def _near(scope: Scope, c: Match) -> Term:
    """A box that holds the circle is looked up, the distance is measured for what lies in it."""
    points, spans = _measures(scope, c.parameter, "quantities", lookup.plain_number(scope.connection))
    boxes = [values.box(points, spans, v) for v in c.values if isinstance(v, Nearby)]
    term = either([part for box in boxes for part in box])
    return term if term is NEVER else _checked(scope, c, term)


def _composite(scope: Scope, c: Match) -> Term:
    wanted = [v for v in c.values if isinstance(v, Parts)]
    posted = _has_postings(scope, c.parameter)
    return either(
        [
            _pair(scope, c.parameter, v)
            if posted and all(not isinstance(p, Token) or p.code for p in v.parts)
            else _checked(scope, _narrowed(c, v), _components(scope, c, v))
            for v in wanted
        ]
    )


def _has_postings(scope: Scope, code: str) -> bool:
    lists = [index.lists(t)[number] for t in scope.types for number in index.atoms(t, code)]
    return any("token_pairs" in names or "token_quantities" in names for names in lists)


def _narrowed(c: Match, value: Parts) -> Match:
    return Match(c.parameter, c.kind, (value,), c.modifier)


def _pair(scope: Scope, code: str, v: Parts) -> Term:
    first, second = v.parts
    assert isinstance(first, Token)
    tids = lookup.tokens(scope.connection, [first])
    if isinstance(second, Number):
        units = lookup.units(scope.connection, second, tids) if tids else {}
        return _measured(scope, code, "token_quantities", units)
    assert isinstance(second, Token)
    seconds = lookup.tokens(scope.connection, [second])
    return coded(scope, scope.pids(code, "token_pairs"), lookup.pairs(scope.connection, tids, seconds))


def _components(scope: Scope, c: Match, value: Parts) -> Term:
    """Every component somewhere in the resource: a first sieve; that they stand together is checked in the body."""
    (type,) = scope.types
    parameter = search_parameter(type, c.parameter)
    assert parameter is not None
    parts = zip(component_parameters(type, parameter), value.parts, strict=True)
    found = [match(scope, Match(p.code, p.type, (part,))) for p, part in parts]
    return both(scope.connection, found)


_KINDS: dict[str, Callable[[Scope, Match], Term]] = {
    "token": _token,
    "string": _string,
    "date": _date,
    "number": _number,
    "quantity": _number,
    "uri": _uri,
    "reference": _reference,
    "composite": _composite,
    "special": _near,
    "words": _full_text,
}
