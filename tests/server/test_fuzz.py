"""Whatever is sent, the answer is never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.fuzzed import Fuzzed, few, opened
from tests.server.people import observation, patient

TYPES = ("Patient", "Observation", "Encounter", "Bundle", "Nothing")
NAMES = (
    "name", "_id", "birthdate", "identifier", "code", "subject", "subject.name", "subject:Patient.name", "date", "value-quantity",
    "_sort", "_count", "_include", "_revinclude", "_has:Observation:patient:code", "_elements", "_summary", "_total", "_cursor",
    "_lastUpdated", "combo-code-value-quantity", "_format", "_type", "near", "_filter", "_text", "code:text", "code:in", "name:exact",
)  # fmt: skip
VALUES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            ",",
            "|",
            "$",
            "\\",
            "a|b|c",
            "ge2020",
            "2020-13-45",
            "eq",
            "1e999",
            "-",
            "Patient/p1",
            "Observation:subject",
            "Patient:*",
            "true",
            "count",
        ]
    ),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=10)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                ["resourceType", "id", "meta", "status", "code", "subject", "reference", "entry", "request", "method", "url",
                 "resource", "type", "name", "fullUrl", "extension", "valueQuantity", "contained", "text", "div", "_birthDate", "birthDate"]
            ),
            inner, max_size=5,
        ),
    ),
    max_leaves=15,
)  # fmt: skip


TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HEADERS = ("If-Match", "If-None-Match", "If-None-Exist", "If-Modified-Since", "Prefer", "Accept", "Content-Type", "Authorization", "Cookie")  # fmt: skip
TARGETS = (
    "POST /fhir", "POST /fhir/Patient", "PUT /fhir/Patient/x", "PUT /fhir/Observation?code=x", "POST /fhir/Observation",
    "POST /fhir/Patient/$match", "POST /fhir/Patient/$validate", "POST /fhir/Patient/p1/$meta-add",
)  # fmt: skip


@pytest.fixture(scope="module")
def fuzzed(backend: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with opened(tmp_path_factory.mktemp("fuzz"), ()) as found:
        yield found


def searches(fuzzed: Fuzzed, kind: str, pairs: list[tuple[str, str]], lenient: bool) -> None:
    headers = {"Prefer": "handling=lenient"} if lenient else {}
    params = httpx.QueryParams([(n, v.encode("utf-8", "replace").decode()) for n, v in pairs])
    fuzzed.ask("GET", f"/fhir/{kind}", params=params, headers=headers)


def bodies(fuzzed: Fuzzed, body: Any, target: str) -> None:
    method, path = target.split(" ")
    raw = json.dumps(body).encode()
    fuzzed.ask(method, path, content=raw, headers={"Content-Type": "application/fhir+json"})


def odd_parts(fuzzed: Fuzzed, changes: dict[str, Any]) -> None:
    raw = json.dumps({**observation("x", "p1"), **changes}).encode()
    fuzzed.ask("POST", "/fhir/Observation", content=raw, headers={"Content-Type": "application/json"})


def bundles(fuzzed: Fuzzed, kind: str, junk: list[Any], requests: list[tuple[str, str]]) -> None:
    entries = junk + [{"request": {"method": m, "url": u}, "resource": patient("p1")} for m, u in requests]
    raw = json.dumps({"resourceType": "Bundle", "type": kind, "entry": entries}).encode()
    fuzzed.ask("POST", "/fhir", content=raw, headers={"Content-Type": "application/json"})


def patches(fuzzed: Fuzzed, operations: list[Any]) -> None:
    raw = json.dumps(operations).encode()
    fuzzed.ask("PATCH", "/fhir/Patient/p1", content=raw, headers={"Content-Type": "application/json-patch+json"})


def raw_bytes(fuzzed: Fuzzed, raw: bytes, kind: str) -> None:
    fuzzed.ask("POST", "/fhir/Patient", content=raw, headers={"Content-Type": kind})


def paths(fuzzed: Fuzzed, method: str, parts: list[str]) -> None:
    path = "/".join(quote(p, safe="") for p in parts)
    fuzzed.ask(method, f"/fhir/{path}")


def headers(fuzzed: Fuzzed, given: dict[str, str]) -> None:
    sent = {name: value.strip() for name, value in given.items()}
    fuzzed.ask("GET", "/fhir/Patient/p1", headers=sent)
    fuzzed.ask("PUT", "/fhir/Patient/p1", json=patient("p1"), headers=sent)
    fuzzed.ask("POST", "/fhir/Patient", json=patient("p1"), headers=sent)


OPERATION = st.fixed_dictionaries(
    {}, optional={
        "op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test", "frob"]) | JSON,
        "path": st.sampled_from(["", "/", "/name/0/family", "/name/-", "/id", "/birthDate", "/a~2", "name"]) | JSON,
        "from": st.sampled_from(["/name", "/gender"]), "value": JSON,
    },
)  # fmt: skip
CORPUS: dict[Callable[..., None], tuple[st.SearchStrategy[Any], ...]] = {
    searches: (st.sampled_from(TYPES), st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=4), st.booleans()),
    bodies: (JSON, st.sampled_from(TARGETS)),
    odd_parts: (st.dictionaries(st.sampled_from(sorted(observation("o", "p"))), JSON, max_size=3),),
    bundles: (
        st.sampled_from(["batch", "transaction"]),
        st.lists(JSON, max_size=3),
        st.lists(
            st.tuples(st.sampled_from(["GET", "PUT", "POST", "DELETE", "PATCH"]), st.text(max_size=15)), max_size=3
        ),
    ),
    patches: (st.lists(OPERATION | JSON, max_size=3),),
    raw_bytes: (st.binary(max_size=60), st.sampled_from(["application/json", "application/fhir+xml"])),
    paths: (
        st.sampled_from(["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH", "OPTIONS", "BREW"]),
        st.lists(st.text(st.characters(codec="utf-8"), max_size=10), max_size=5),
    ),
    headers: (st.dictionaries(st.sampled_from(HEADERS), TEXTS, max_size=9),),
}


@pytest.mark.parametrize("ask", CORPUS, ids=lambda ask: ask.__name__)
def test_whatever_is_sent(fuzzed: Fuzzed, ask: Callable[..., None]) -> None:
    """The same corpus on every kind of database, with fewer examples where each goes over the wire."""

    @settings(max_examples=few(100), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.tuples(*CORPUS[ask]))
    def sent(values: tuple[Any, ...]) -> None:
        ask(fuzzed, *values)

    sent()
