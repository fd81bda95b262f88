"""Reads the parameters of a search into a SearchQuery: https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from suture.errors import InvalidSearch
from suture.ports import Expander
from suture.standards.fhir import search_filter as filters
from suture.standards.fhir import search_filter_text as filter_text
from suture.standards.fhir import search_results as results
from suture.standards.fhir import search_values as read
from suture.standards.fhir.definitions import RESOURCE_TYPES, SearchParameter, search_parameters
from suture.standards.fhir.search_kin import kin
from suture.standards.fhir.search_query import (
    Branch,
    Chain,
    Condition,
    Filter,
    Has,
    Kin,
    Listed,
    Match,
    Missing,
    SearchQuery,
    Target,
    Value,
)
from suture.standards.fhir.search_tables import (
    MODIFIERS,
    NEVER_MISSING,
    NOT_SEARCHED,
    R4Codes,
    component_parameters,
    followed,
    modifiers,
    searchable,
    vocabulary,
)
from suture.standards.fhir.search_words import CONTENT, NARRATIVE
from suture.standards.fhir.search_words import read as words

FILTER = "_filter"
MOST_PAIRS = 200
DEEPEST = 4
MOST_BRANCHES = 12

R4_CODES = R4Codes()
_BARE = frozenset({FILTER, NARRATIVE, CONTENT, "_list"})
Reader = Callable[[str, str], Value]


@dataclass(slots=True)
class _Reading:
    """What the reader of one request knows and gathers."""

    lenient: bool
    base_url: str
    expander: Expander
    types: tuple[str, ...] = ()  # of a search over several types: parameters that all of them have may be used
    unknown: list[str] = field(default_factory=list)


def parse(
    resource_type: str,
    pairs: Sequence[tuple[str, str]],
    *,
    lenient: bool = False,
    base_url: str = "",
    expander: Expander = R4_CODES,
) -> SearchQuery:
    """The query of `pairs` (decoded, in order). An empty type is a search over several types.

    `expander` knows value sets and hierarchies of codes; unless one is given, R4's own.

    An unknown parameter raises InvalidSearch, or stands in `unknown` when handling is lenient; a wrong value always raises.
    """
    if resource_type and resource_type not in RESOURCE_TYPES:
        raise InvalidSearch("there is no such resource type", where="type", mend=_nearest("", RESOURCE_TYPES))
    if len(pairs) > MOST_PAIRS:
        raise InvalidSearch(f"more than {MOST_PAIRS} parameters", where="url", mend="Search in several requests.")
    named = [text.split(",") for key, text in pairs if key == "_type" and not resource_type]
    types = tuple(name for names in named[-1:] for name in names if name in RESOURCE_TYPES)
    reading = _Reading(lenient, base_url.rstrip("/"), expander, types)
    query = SearchQuery(resource_type, types=types)
    for key, text in pairs:
        query = _with(query, key, text, reading)
    return replace(query, unknown=tuple(reading.unknown)) if reading.unknown else query


def _with(query: SearchQuery, key: str, text: str, reading: _Reading) -> SearchQuery:
    """The query with one more parameter."""
    if results.knows(key):
        return results.read(query, key, text)
    try:
        condition = _condition(query.type, key, text, reading, DEEPEST)
    except _Unknown as unknown:
        if key.endswith(FILTER) and not isinstance(unknown, NotBuilt):  # without it more would be found than was meant
            raise InvalidSearch(unknown.text, where=f"{FILTER}: {unknown.where}", mend=unknown.mend) from None
        if not reading.lenient:
            raise
        reading.unknown.append(unknown.parameter)
        return query
    return replace(query, conditions=(*query.conditions, condition))


class _Unknown(InvalidSearch):
    """No such parameter; it may be left out when handling is lenient."""

    def __init__(self, parameter: str, text: str, mend: str) -> None:
        super().__init__(text, where=shown(parameter), mend=mend)
        self.parameter = parameter


class NotBuilt(_Unknown):
    """A search parameter of the site's own whose index is not complete yet."""

    def __init__(self, parameter: SearchParameter) -> None:
        mend = "Ask again in a while, or leave it out."
        super().__init__(parameter.code, "this search parameter is new, its index is still being built", mend)
        self.url = parameter.url


def shown(key: str) -> str:
    """A parameter's name as far as it may stand in an error."""
    return key if len(key) <= 100 and key.isprintable() else "a parameter"


def _condition(type: str, key: str, text: str, reading: _Reading, depth: int) -> Condition:
    if depth < 0:
        raise InvalidSearch(f"more than {DEEPEST} links in a chain", where=shown(key))
    _require_bare(key)
    if key == "_list":
        return _list(text)
    if key == FILTER:
        return Filter(text, filters.condition(type, filter_text.read(text), _Links(reading), depth))
    if key in (NARRATIVE, CONTENT):
        return _words(type, key, text)
    if key.startswith("_has:"):
        return _has(type, key, lambda far, rest: _condition(far, rest, text, reading, depth - 1))
    head, dot, rest = key.partition(".")
    if dot:
        return _chain(type, head, key, lambda far: (_condition(far, rest, text, reading, depth - 1),), reading)
    name, colon, modifier = key.partition(":")
    parameter = _parameter(type, name, reading.types)
    if colon and not modifier:
        raise InvalidSearch("a modifier is missing after the colon", where=shown(key))
    if modifier == "missing":
        return _missing(parameter, key, text)
    if modifier:
        _require_taken((type,) if type else reading.types, parameter, modifier, key)
    return _match(type, parameter, modifier, key, text, reading)


def _require_bare(key: str) -> None:
    """Raises for a modifier on what takes none; left out, it would mean something else."""
    name, colon, _ = key.partition(":")
    if colon and (name in _BARE or results.knows(name)) and name not in results.INCLUDES:
        raise InvalidSearch(f"{name} takes no modifier", where=shown(key), mend=f"Write {name}=….")


def _list(text: str) -> Listed:
    """`_list=ID`; what a functional list such as $current-problems holds is nobody's to say but the practice's."""
    if text.startswith("$"):
        raise InvalidSearch("functional lists are not kept here", where="_list", mend="Name a List by its id.")
    values = read.values(text, "reference", "_list", lambda part: read.reference("List", "")(part, "_list"))
    found = tuple(v.id for v in values if isinstance(v, Target) and v.id)
    if len(found) < len(values):
        raise InvalidSearch("not a List of this server", where="_list", mend="Write the List's id.")
    return Listed(found)


def _words(type: str, key: str, text: str) -> Match:
    """`_text`, `_content`: whether full text is kept, the store knows."""
    if type and key not in search_parameters(type):
        raise _Unknown(key, f"{type} has no narrative", "Use _content.")
    found = read.values(text, "words", key, lambda part: words(read.plain(part), key))
    return Match(key, "words", found)


def _parameter(type: str, name: str, types: tuple[str, ...] = ()) -> SearchParameter:
    """The parameter of a type; of several types one that all of them have, of the same kind."""
    if name in NOT_SEARCHED:
        raise _Unknown(name, NOT_SEARCHED[name], "docs/search.md lists what is supported.")
    if type or not types or name in search_parameters("Resource"):
        return _of_one(type, name)
    found = [_of_one(each, name) for each in types]
    if len({p.type for p in found}) > 1 or found[0].type == "composite":
        raise _Unknown(name, "not a parameter of the same kind for all these types", "Search each type by itself.")
    return replace(found[0], targets=tuple(dict.fromkeys(t for p in found for t in p.targets)))


def _of_one(type: str, name: str) -> SearchParameter:
    found = search_parameters(type or "Resource").get(name)
    if found is None:
        near = _nearest(name, searchable(type))
        raise _Unknown(name, f"{type or 'a search over all types'} has no such search parameter", near)
    if not found.built:
        raise NotBuilt(found)
    if not searchable(type).get(name):
        raise _Unknown(name, "this search parameter is not supported", "docs/search.md lists what is.")
    return found


def _nearest(name: str, names: Sequence[str] | frozenset[str] | dict[str, str]) -> str:
    close = get_close_matches(name, list(names), 3)
    return f"Did you mean {' or '.join(close)}?" if close else "The CapabilityStatement lists what there is."


def _missing(parameter: SearchParameter, key: str, text: str) -> Missing:
    if text not in ("true", "false"):
        raise InvalidSearch(":missing is true or false", where=shown(key))
    if parameter.code in NEVER_MISSING:
        raise InvalidSearch(f"{parameter.code} is never missing", where=shown(key))
    if parameter.type == "composite":
        raise InvalidSearch("a composite can't be asked for with :missing", where=shown(key))
    return Missing(parameter.code, parameter.type, text == "true")


def _require_taken(types: tuple[str, ...], parameter: SearchParameter, modifier: str, key: str) -> None:
    """Raises for a modifier that the parameter does not take, and says which it does."""
    if parameter.type == "reference" and modifier in RESOURCE_TYPES:
        return
    taken = modifiers(types, parameter)
    if modifier not in taken or modifier == "Type":
        known = modifier in MODIFIERS.get(parameter.type, ())
        what = parameter.code if known else f"a {parameter.type} parameter"
        raise InvalidSearch(
            f"the modifier :{shown(modifier)} is not supported for {what}",
            where=shown(key),
            mend=f"Supported: {', '.join(':' + m for m in taken)}." if taken else "It takes no modifier.",
        )


def _match(type: str, parameter: SearchParameter, modifier: str, key: str, text: str, reading: _Reading) -> Match | Kin:
    where = shown(key)
    wanted = modifier if modifier in RESOURCE_TYPES and parameter.type == "reference" else ""
    if wanted and parameter.targets and wanted not in parameter.targets:
        raise InvalidSearch(f"{parameter.code} never leads to a {wanted}", where=where)
    reader = _reader(type, parameter, modifier, wanted, reading)
    values = read.values(text, parameter.type, where, lambda part: reader(part, where))
    match = Match(parameter.code, parameter.type, values, modifier)
    if parameter.type == "reference" and modifier in ("above", "below"):
        return kin(parameter, match, where)
    members = vocabulary(match, reading.expander, where)
    return replace(match, members=members) if members else match


def _reader(type: str, parameter: SearchParameter, modifier: str, wanted: str, reading: _Reading) -> Reader:
    if modifier in ("in", "not-in"):
        return read.uri
    if modifier == "text":
        return read.string
    if modifier == "of-type":
        return read.typed_identifier
    if modifier == "identifier":
        return read.token
    if parameter.type == "reference":
        return read.reference(wanted, reading.base_url)
    if parameter.type == "composite":
        parts = [_reader(type, p, "", "", reading) for p in component_parameters(type, parameter)]
        return read.composite(parts)
    return _READERS[parameter.type]


_READERS: dict[str, Reader] = {
    "token": read.token,
    "string": read.string,
    "date": read.moment,
    "number": read.number,
    "quantity": read.quantity,
    "uri": read.uri,
    "special": read.nearby,
}


# --- across references

Build = Callable[[str], tuple[Condition, ...]]  # what must hold of a resource of this type


def _chain(type: str, head: str, key: str, build: Build, reading: _Reading) -> Chain:
    """`head` is a reference, maybe with a type; `key` is what is shown when it leads nowhere."""
    name, _, wanted = head.partition(":")
    parameter = _parameter(type, name, reading.types)
    if parameter.type != "reference":
        raise InvalidSearch(f"{name} is no reference, nothing can follow it", where=shown(key))
    types = _far_types(parameter, wanted, key)
    branches, unknown = [], None
    for far in types:
        try:
            branches.append(Branch(far, build(far)))
        except _Unknown as error:
            unknown = error
    if not branches:
        raise unknown or InvalidSearch("the chain leads nowhere", where=shown(key))
    if len(branches) > MOST_BRANCHES:
        raise InvalidSearch(f"{name} may lead to too many types", where=shown(key), mend=_typed(name))
    return Chain(name, tuple(branches), typed=bool(wanted))


def _far_types(parameter: SearchParameter, wanted: str, key: str) -> tuple[str, ...]:
    targets = tuple(t for t in parameter.targets if t in RESOURCE_TYPES)
    if wanted and wanted not in (targets or RESOURCE_TYPES):
        raise InvalidSearch(f"{parameter.code} never leads to that type", where=shown(key))
    if not wanted and not targets:
        raise InvalidSearch(f"{parameter.code} may lead to any type", where=shown(key), mend=_typed(parameter.code))
    return (wanted,) if wanted else targets


def _require_followed(type: str, name: str, key: str) -> None:
    if not followed(type, name):
        raise InvalidSearch(
            f"{name} is a canonical URL, _has can't follow it", where=shown(key), mend="Search for the URL."
        )


def _typed(name: str) -> str:
    return f"Write the type: {name}:Patient.…"


def _has(type: str, key: str, build: Callable[[str, str], Condition]) -> Has:
    parts = key.split(":", 3)
    if len(parts) != 4 or not all(parts) or parts[1] not in RESOURCE_TYPES:
        raise InvalidSearch("not a reverse chain", where=shown(key), mend="Write _has:Observation:patient:code=…")
    _, far, name, rest = parts
    parameter = _parameter(far, name)
    if parameter.type != "reference" or (type and parameter.targets and type not in parameter.targets):
        raise InvalidSearch(f"{far}.{name} is no reference to a {type}", where=shown(key))
    _require_followed(far, name, key)
    return Has(far, name, (build(far, rest),))


@dataclass(frozen=True, slots=True)
class _Links:
    """What a `_filter` asks of this reader."""

    reading: _Reading

    @property
    def expander(self) -> Expander:
        return self.reading.expander

    def parameter(self, type: str, name: str) -> SearchParameter:
        return _parameter(type, name, self.reading.types)

    def reader(self, type: str, parameter: SearchParameter) -> Reader:
        return _reader(type, parameter, "", "", self.reading)

    def chain(self, type: str, name: str, build: Build) -> Condition:
        return _chain(type, name, f"{FILTER}: {name}", build, self.reading)

    def has(self, type: str, name: str, build: Callable[[str, str], Condition]) -> Condition:
        return _has(type, name, build)
