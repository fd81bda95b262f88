"""Walks the demo's three flows and counts what became of everything."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter

import orjson

from suture.access import policy
from suture.cli.demo_load import put
from suture.cli.demo_show import Figures, Show
from suture.cli.demo_site import Site
from suture.message import DeliveryState, RunState
from suture.sandbox import people as synthetic
from suture.sandbox.walk import Sent, feed, send_feed, send_forms, visitors
from suture.services.interactions.door import Interactions
from suture.store import messages
from suture.store.connection import Connection
from suture.store.queue import dead, deliveries, runs

TYPES = ("Patient", "Encounter", "Observation", "DiagnosticReport", "Condition", "Coverage", "AllergyIntolerance")
OPEN_RUNS = (RunState.RUNNING, RunState.WAITING)
OPEN_DELIVERIES = (DeliveryState.WAITING, DeliveryState.SENDING, DeliveryState.RETRYING)
ALL = 1_000_000
KNOWN_VISITORS = 4


async def walk(site: Site, show: Show, count: int, people: int, seed: int) -> Figures:
    """Loads people, sends feed and forms, waits until all is delivered or dead."""
    loaded = await _load(site, show, people, seed)
    sent = Sent()
    watching = asyncio.create_task(_watch(site, show))
    try:
        show.step("HL7 v2 feed", count)
        await send_feed(site.ports["mllp"], list(feed(seed, count)), sent, show.advance)
        persons = visitors(seed, min(KNOWN_VISITORS, people))
        show.step("Intake forms", len(persons))
        await send_forms(site.url, site.form_secret, persons, site.suture.clock, sent)
        show.step("Billing", 0)
        await _settled(site)
    finally:
        watching.cancel()
        show.end()
    return await _figures(site, sent, loaded)


async def _load(site: Site, show: Show, count: int, seed: int) -> int:
    """The same synthetic people in both: the EHR knows all, the hub the first half."""
    show.step("Synthetic patients", count)
    stored = await put(site.ehr.interactions, synthetic.organizations())
    stored += await put(site.suture.interactions, synthetic.organizations())
    for number, person in enumerate(itertools.islice(synthetic.people(seed, count), count)):
        chart = synthetic.chart(person, seed)
        stored += await put(site.ehr.interactions, chart)
        if number < count // 2:
            stored += await put(site.suture.interactions, chart)
        show.advance()
    return stored


async def _watch(site: Site, show: Show) -> None:
    while True:
        read = site.suture.database.read
        show.live(
            _states(read), len(_letters(read)), site.billing.requests, site.billing.refusals, len(site.billing.charges)
        )
        await asyncio.sleep(0.25)


def _states(read: Connection) -> Counter[str]:
    return Counter(str(entry.state) for entry in messages.find(read, count=ALL))


def _letters(read: Connection) -> list[dead.DeadLetter]:
    return dead.find(read, open=True, count=ALL)


async def _settled(site: Site) -> None:
    """Until nothing runs and nothing waits for a second: changes of the chart come a moment later."""
    quiet = 0
    while quiet < 5:
        quiet = 0 if _busy(site.suture.database.read) else quiet + 1
        await asyncio.sleep(0.2)


def _busy(read: Connection) -> bool:
    return any(runs.find(read, state=state, count=1) for state in OPEN_RUNS) or any(
        deliveries.find(read, state=state, count=1) for state in OPEN_DELIVERIES
    )


async def _figures(site: Site, sent: Sent, loaded: int) -> Figures:
    read = site.suture.database.read
    found = deliveries.find(read, count=ALL)
    return Figures(
        sent=sent,
        messages=_states(read),
        deliveries=Counter(f"{one.connection}: {one.state}" for one in found),
        retried=sum(one.attempts > 1 for one in found),
        letters=_letters(read),
        resources={kind: await _count(site.suture.interactions, kind) for kind in TYPES},
        written_back=await _count(site.ehr.interactions, "QuestionnaireResponse"),
        charges=len(site.billing.charges),
        refusals=site.billing.refusals,
        resources_loaded=loaded,
        family=site.family,
    )


async def _count(chart: Interactions, kind: str) -> int:
    answer = await chart.search(policy.SYSTEM, kind, [("_summary", "count")])
    return int(orjson.loads(answer.body)["total"])
