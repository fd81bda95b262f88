"""Seeded: every search parameter of every type, with every modifier and prefix, and values nobody should send.

No 5xx; a refusal is an OperationOutcome that names the parameter; no statement is without a budget.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import apsw
import pytest

from suture.services.operations.table import TABLE
from suture.standards.fhir import search
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.standards.fhir.search_filter import OPERATORS
from suture.store import connection
from suture.store.connection import Connection
from suture.store.postgres.connection import ServerConnection
from tests.attacks.fuzzed import Fuzzed, few, opened, some, told

SEED = 20261125
MODIFIERS = (
    "exact", "contains", "text", "not", "above", "below", "in", "not-in", "of-type", "missing", "identifier", "iterate",
    "Patient", "Nothing", "frob", "", ":", "exact:exact", "a.b",
)  # fmt: skip
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap", "zz")
ODD = (
    "", " ", ",", ",,", "|", "||", "a|b|c", "$", "a$b$c$d", "\\", "\\,", "%", "%00", "\x00", "'", '"', "';DROP TABLE res;--", "*",
    "../../etc", "é" * 50, "\u202e", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"), "x" * 5000, "1e999",
    "-1e-999", "NaN", "Infinity", "0x10", "1" * 400, "2020-13-45", "0000-00-00", "9999-12-31T23:59:60Z", "2020-02-30", "T", "null",
    "true", "Patient/", "/Patient/p1", "Patient/p1/_history/9", "http://x/Patient/p1", "urn:uuid:", "Nothing/1", "http://", "5.4|||mg",
    "5.4|http://unitsofmeasure.org|furlong", "5|http://unitsofmeasure.org|[[[", "|mg", "near", "1|2|3|4|5|6", "91|181|-1|km",
)  # fmt: skip
# values that can't be of their kind: they are refused, never passed over
WRONG = {
    "date": ("2020-13-45", "yesterday", "ge", "1" * 400, "2020-02-30"),
    "number": ("seven", "1e999x", "--1", "ge"),
    "quantity": ("seven|x|y", "ge", "1|2|3|4"),
}


@pytest.fixture(scope="module")
def fuzzed(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with opened(tmp_path_factory.mktemp("every")) as found:
        yield found


def parameters() -> list[tuple[str, str, str]]:
    return [(type, code, kind) for type in sorted(RESOURCE_TYPES) for code, kind in search.searchable(type).items()]


def ask(fuzzed: Fuzzed, type: str, name: str, value: str) -> Any:
    return fuzzed.ask("GET", f"/fhir/{type}?{quote(name, safe='')}={quote(value, safe='')}")


def named(answer: Any, code: str) -> None:
    """Bad input is told apart by the name of its parameter."""
    if answer.status_code >= 400:
        assert code in told(answer), (str(answer.request.url), answer.text)


def test_every_parameter_with_odd_values(fuzzed: Fuzzed) -> None:
    chance, asked = random.Random(SEED), 0
    for type, code, _ in some(parameters(), chance):
        for value in chance.sample(ODD, 4):
            named(ask(fuzzed, type, code, value), code)
            asked += 1
    assert asked > few(5_000)


def test_every_parameter_with_every_modifier_or_a_refusal_that_names_it(fuzzed: Fuzzed) -> None:
    chance = random.Random(SEED + 1)
    for type, code, _ in some(parameters(), chance):
        for modifier in chance.sample(MODIFIERS, 3):
            named(ask(fuzzed, type, f"{code}:{modifier}", chance.choice(ODD)), code)


def test_what_is_not_of_its_kind_is_refused(fuzzed: Fuzzed) -> None:
    chance = random.Random(SEED + 2)
    for type, code, kind in some(parameters(), chance):
        if kind in WRONG:
            value = chance.choice(WRONG[kind])
            answer = ask(fuzzed, type, code, value)
            assert answer.status_code == 400, (type, code, value, answer.text)
            named(answer, code)


def test_every_prefix(fuzzed: Fuzzed) -> None:
    chance = random.Random(SEED + 3)
    dates = [p for p in parameters() if p[2] in ("date", "number", "quantity")]
    for type, code, kind in chance.sample(dates, few(120)):
        for prefix in PREFIXES:
            named(ask(fuzzed, type, code, prefix + ("2020-02" if kind == "date" else "5")), code)


def test_every_parameter_in_a_filter(fuzzed: Fuzzed) -> None:
    """With an operator of some kind and an odd value, as a word or a text; a refusal names the filter or a limit."""
    chance, operators = random.Random(SEED + 8), sorted({o for known in OPERATORS.values() for o in known})
    for type, code, _ in some(parameters(), chance):
        if code.startswith("_") or chance.random() < 0.85:
            continue
        odd = chance.choice((*ODD, "2020", "5", "Patient/a", "a|b"))
        value = chance.choice((odd, json.dumps(odd)))
        text = f"{code} {chance.choice(operators)} {value}"
        named(
            ask(fuzzed, type, "_filter", chance.choice((text, f"not ({text})", f"{text} or {code} pr true"))), "_filter"
        )


def test_chains_and_reverse_chains(fuzzed: Fuzzed) -> None:
    chance, every = random.Random(SEED + 4), parameters()
    references = [p for p in every if p[2] == "reference"]
    for _ in range(few(600)):
        type, code, _kind = chance.choice(references)
        other, inner, _kind = chance.choice(every)
        value = chance.choice(ODD)
        names = (
            f"{code}.{inner}", f"{code}:{other}.{inner}", f"_has:{other}:{inner}:{code}", f"_has:{type}:{code}:_has:{other}:{inner}:_id",
            f"{code}.{code}.{inner}",
        )  # fmt: skip
        answer = ask(fuzzed, type, chance.choice(names), value)
        if answer.status_code >= 400:
            assert told(answer)


def test_what_shapes_the_answer(fuzzed: Fuzzed) -> None:
    chance, every = random.Random(SEED + 5), parameters()
    controls = (
        "_sort", "_count", "_include", "_revinclude", "_include:iterate", "_elements", "_summary", "_total", "_contained", "_containedType",
        "_format", "_pretty", "_type", "_cursor", "_score", "_query", "_filter", "_text", "_content", "_list", "_offset", "_page", "_since",
    )  # fmt: skip
    for _ in range(few(1500)):
        type, code, _kind = chance.choice(every)
        value = chance.choice(
            (*ODD, code, f"-{code}", f"{type}:{code}", f"{type}:*", "*", "0", "-1", "100000000", "count", "accurate")
        )
        name = chance.choice(controls)
        answer = ask(fuzzed, type, name, value)
        if answer.status_code >= 400 and name != "_cursor":
            assert told(answer).strip(), answer.text


def test_every_operation(fuzzed: Fuzzed) -> None:
    chance = random.Random(SEED + 6)
    for operation in TABLE:
        if operation.run is None:
            continue
        for pattern in operation.patterns:
            path = "/fhir" + pattern.replace("{type}", chance.choice(("Patient", "Observation"))).replace("{id}", "a")
            names = [p.name for p in operation.parameters] or ["x"]
            for _ in range(few(25)):
                name, value = chance.choice((*names, "frob")), chance.choice(ODD)
                fuzzed.ask("GET", f"{path}?{quote(name)}={quote(value, safe='')}")
                row = {
                    "name": name,
                    chance.choice(
                        ("valueString", "valueUri", "valueInteger", "resource", "part", "valueCoding")
                    ): value,
                }
                fuzzed.ask("POST", path, json={"resourceType": "Parameters", "parameter": [row]})
                fuzzed.ask("POST", path, json={"resourceType": chance.choice(sorted(RESOURCE_TYPES)), "id": value[:10]})


@contextmanager
def unbudgeted(read: Connection, found: set[str]) -> Iterator[None]:
    """Notes the statements over index tables that run without a budget on this connection."""
    within = [0]

    def counting(budget: Any) -> Any:
        @contextmanager
        def counted(self: Connection, seconds: float) -> Iterator[None]:
            within[0] += 1
            try:
                with budget(self, seconds):
                    yield
            finally:
                within[0] -= 1

        return counted

    def noted(_: Any, sql: str, __: Any) -> bool:
        if not within[0] and re.search(r"\bFROM [TRSDQ]\b", sql):
            found.add(sql)
        return True

    def noting(ask: Any) -> Any:
        def asked(self: ServerConnection, sql: str, parameters: Any = ()) -> Any:
            noted(self, sql, parameters)
            return ask(self, sql, parameters)

        return asked

    with pytest.MonkeyPatch.context() as patch:
        for kind in (Connection, ServerConnection):
            patch.setattr(kind, "budget", counting(kind.budget))
        for name in ("execute", "one", "all"):
            patch.setattr(ServerConnection, name, noting(getattr(ServerConnection, name)))
        if isinstance(read.raw, apsw.Connection):
            read.raw.exec_trace = noted
        try:
            yield
        finally:
            if isinstance(read.raw, apsw.Connection):
                read.raw.exec_trace = None


def test_no_search_statement_is_without_a_budget(fuzzed: Fuzzed) -> None:
    found: set[str] = set()
    chance = random.Random(SEED + 7)
    read = fuzzed.app.database.read
    with unbudgeted(read, found):
        for type, code, _ in chance.sample(parameters(), few(300)):
            ask(fuzzed, type, code, "x")
            fuzzed.ask("GET", f"/fhir/{type}?_sort={code}&_total=accurate&_include=*")
        assert found == set()
        read.all("SELECT rid FROM T LIMIT 1")
    assert found == {"SELECT rid FROM T LIMIT 1"}, "the watch itself does not see"


def test_a_query_that_runs_away_is_ended_with_what_to_narrow(fuzzed: Fuzzed, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a budget of nothing, looked at after every operation, each search is too costly and says what to narrow."""
    monkeypatch.setattr(connection, "OPERATIONS", 1)
    monkeypatch.setitem(fuzzed.app.settings._values, "search.quick", 0.0)
    monkeypatch.setitem(fuzzed.app.settings._values, "search.budget", 0.0)
    for query in (
        "code=x",
        "subject.name=a",
        "_total=accurate",
        "_has:Provenance:target:agent=x",
        "_sort=code",
        "_filter=not (code eq x) or subject.name co a",
    ):
        answer = fuzzed.ask("GET", f"/fhir/Observation?{query}")
        said = any(words in told(answer) for words in ("Leave out or narrow", "Name a"))
        assert (answer.status_code, said) == (422, True), answer.text
