"""A chart with patient a, whose records the caller may see, and patient b, of whom it may learn nothing; four ways to hide b."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from tests.attacks.made import Resource, made, types
from tests.server.people import encounter, observation, practitioner
from tests.server.running import Running, serving

SECRET = "Bsecret"  # in everything of b, ids included, in any case of its letters
OPEN = {"system": "http://example.org/tag", "code": "open"}
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}
WAYS = ("compartment", "label", "consent", "granular")
SCOPES = {
    "compartment": ("patient/*.cruds", "a"),
    "label": ("user/*.cruds", ""),
    "consent": ("user/*.cruds", ""),
    "granular": (f"user/*.cruds?_tag={OPEN['system']}|open", ""),
}
DOCTOR, HOUSE = {"reference": "Practitioner/d1"}, {"reference": "Organization/org"}


def b(type: str) -> str:
    return "bsecret" if type == "Patient" else f"bsecret-{type}"


def a(type: str) -> str:
    return "a" if type == "Patient" else f"a-{type}"


def shared() -> Iterator[Resource]:
    yield practitioner("d1")
    yield {"resourceType": "Organization", "id": "org", "name": "Lakeside"}
    yield {"resourceType": "Medication", "id": "m1", "code": {"text": "x"}}


def of_a(wanted: Sequence[str]) -> Iterator[Resource]:
    yield from (made(type, a(type), "a", "Amark") for type in wanted)
    yield encounter("a-visit", "a", serviceProvider=HOUSE)
    yield observation("a-1", "a", performer=[DOCTOR], encounter={"reference": "Encounter/a-visit"})
    yield observation("a-2", "a", code="1234-5", value="mine", performer=[DOCTOR])


def of_b(wanted: Sequence[str]) -> Iterator[Resource]:
    yield from (made(type, b(type), "bsecret", SECRET) for type in wanted)
    yield encounter("bsecret-visit", "bsecret", serviceProvider=HOUSE, reasonCode=[{"text": SECRET}])
    yield observation(
        "bsecret-1", "bsecret", value=SECRET, performer=[DOCTOR], encounter={"reference": "Encounter/bsecret-visit"},
        derivedFrom=[{"reference": "Observation/a-1"}],
    )  # fmt: skip
    yield observation("bsecret-2", "bsecret", code="9999-9", value=SECRET)


def _dressed(resource: Resource, way: str, hidden: bool) -> Resource:
    meta: dict[str, Any] = {"tag": [{"system": "http://example.org/tags", "code": SECRET}]} if hidden else {}
    if way == "label" and hidden:
        meta["security"] = [LABEL]
    if way == "granular" and not hidden:
        meta["tag"] = [OPEN]
    return {**resource, "meta": meta} if meta else resource


def consent() -> Resource:
    return {
        "resourceType": "Consent", "id": "bsecret-deny", "status": "active",
        "scope": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]},
        "category": [{"text": "x"}], "patient": {"reference": "Patient/bsecret"}, "provision": {"type": "deny"},
        "policyRule": {"coding": [{"code": "OPTIN"}]},
    }  # fmt: skip


@dataclass
class Scene:
    """A server, and the caller from whom b is hidden."""

    server: Running
    http: httpx.AsyncClient
    way: str
    asked: int = 0

    async def ask(self, ask: Ask) -> httpx.Response:
        self.asked += 1
        answer = await self.http.request(ask.method, ask.path, headers=ask.headers, **ask.body)
        assert answer.status_code < 500, (ask, answer.text)
        return answer

    def told(self, answer: httpx.Response) -> str:
        """All that an answer says, but for what the question said itself."""
        text = re.sub(r'"link":\[\{"relation".*?\]', "", answer.text)
        heads = [f"{name}: {value}" for name, value in answer.headers.items()]
        return "\n".join([text, *heads]).lower()


class Ask(NamedTuple):
    """One request, and the interaction of the CapabilityStatement it stands for."""

    interaction: str
    method: str
    path: str
    headers: dict[str, str] = {}
    body: dict[str, Any] = {}


@asynccontextmanager
async def scene(
    folder: Path, way: str, wanted: Sequence[str] | None = None, *, with_b: bool = True
) -> AsyncIterator[Scene]:
    """A started server with the chart, written by one who may do everything."""
    kinds = types() if wanted is None else list(wanted)
    os.makedirs(folder, exist_ok=True)
    async with serving(folder) as server:
        members = [_dressed(r, way, False) for r in (*shared(), *of_a(kinds))]
        if with_b:
            members += [_dressed(r, way, True) for r in of_b(kinds)]
            members += [consent()] if way == "consent" else []
        await put(server, members)
        scopes, whose = SCOPES[way]
        async with httpx.AsyncClient(base_url=server.url, headers=server.key(scopes, whose), timeout=30) as http:
            yield Scene(server, http, way)


async def put(server: Running, members: Sequence[Resource]) -> None:
    entries = [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in members]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    everything = server.key("system/*.cruds")
    server.attribute(clearance="*")
    answer = await server.http.post("/fhir", json=bundle, headers=everything)
    assert answer.status_code == 200, answer.text
