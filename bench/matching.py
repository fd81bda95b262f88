"""How well does $match find people whose data are not quite the same? Run: python -m bench.matching [--people 2000] [--asks 500] [--queue].

Synthetic people are stored, each twentieth with a twin. Half of the asks are about a stored person with one to three changes,
half about somebody who is not stored. Precision: of those named, how many are right. Recall: of those stored, how many are named.
`--queue`: each fifth person is registered a second time with such changes; which pairs come into the queue, and how fast?
"""

from __future__ import annotations

import argparse
import asyncio
import copy
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from suture import settings as settings_of
from suture.access.policy import SYSTEM
from suture.app import App, open_server
from suture.clock import SYSTEM as CLOCK
from suture.sandbox import names
from suture.sandbox.people import Person, patient, person
from suture.server.log import Log
from suture.services.matches.watch import Watch
from suture.services.operations import call
from suture.store import matches, resources

SEED = 11
Resource = dict[str, Any]


def _slip(text: str, r: random.Random) -> str:
    """Two neighbours swapped, a letter lost, or one doubled."""
    if len(text) < 2:
        return text
    at = r.randrange(len(text) - 1)
    pair = text[at] + text[at + 1]
    return text[:at] + r.choice((pair[::-1], pair[1], pair[0] * 2 + pair[1])) + text[at + 2 :]


def _family(p: Resource, r: random.Random) -> None:
    p["name"][0]["family"] = _slip(p["name"][0]["family"], r)


def _given(p: Resource, r: random.Random) -> None:
    p["name"][0]["given"] = [_slip(p["name"][0]["given"][0], r)]


def _initial(p: Resource, r: random.Random) -> None:
    p["name"][0]["given"] = [p["name"][0]["given"][0][0]]


def _married(p: Resource, r: random.Random) -> None:
    p["name"][0]["family"] = r.choice(names.FAMILY)


def _day(p: Resource, r: random.Random) -> None:
    p["birthDate"] = p["birthDate"][:8] + f"{r.randint(1, 28):02}" if len(p["birthDate"]) == 10 else p["birthDate"]


def _year(p: Resource, r: random.Random) -> None:
    p["birthDate"] = p["birthDate"][:4]


def _moved(p: Resource, r: random.Random) -> None:
    city, state, postal = r.choice(names.TOWNS)
    p["address"] = [
        {"line": [f"{r.randint(1, 999)} Elsewhere Road"], "city": city, "state": state, "postalCode": postal}
    ]


def _silent(p: Resource, r: random.Random) -> None:
    p.pop("telecom")


def _homeless(p: Resource, r: random.Random) -> None:
    p.pop("address")


CHANGES: tuple[Callable[[Resource, random.Random], None], ...] = (
    _family, _given, _initial, _married, _day, _year, _moved, _silent, _homeless,
)  # fmt: skip


def asked(who: Person, r: random.Random) -> Resource:
    """What somebody else knows of a person: no number of ours, and some of it wrong."""
    made = copy.deepcopy(patient(who))
    del made["identifier"], made["id"], made["extension"]
    for change in r.sample(CHANGES, r.randint(1, 3)):
        change(made, r)
    return made


def twin(who: Person, r: random.Random) -> Resource:
    other = [name for name in names.GIVEN_FEMALE if name != who.given]
    made = patient(who)
    return {
        **made,
        "id": f"twin-{who.number}",
        "identifier": [],
        "gender": "female",
        "name": [{"family": who.family, "given": [r.choice(other)]}],
    }


async def fill(app: App, people: list[Person]) -> None:
    r = random.Random(SEED)
    made = [patient(p) for p in people] + [twin(p, r) for p in people[::20]]
    for at in range(0, len(made), 500):
        entries = [
            {
                "request": {"method": "PUT", "url": f"Patient/{p['id']}"},
                "resource": {k: v for k, v in p.items() if v != []},
            }
            for p in made[at : at + 500]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        await app.database.write(app.interactions.transaction_unit(SYSTEM, bundle))


async def match(app: App, wanted: Resource) -> list[tuple[str, str]]:
    answer = await call.run(app.interactions.chart, SYSTEM, call.Call("match", "Patient", body=wanted))
    entries = orjson.loads(answer.body).get("entry", [])
    return [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"]) for e in entries]


class Tally:
    """Named rightly, named wrongly, stored and not named."""

    def __init__(self, grades: tuple[str, ...], first: bool) -> None:
        self.grades, self.first = grades, first
        self.right = self.wrong = self.missed = 0

    def add(self, found: list[tuple[str, str]], own: str) -> None:
        named = [id for id, grade in found if grade in self.grades]
        named = named[:1] if self.first else named
        self.right += own in named
        self.wrong += sum(id != own for id in named)
        self.missed += bool(own) and own not in named

    def __str__(self) -> str:
        precision = self.right / max(1, self.right + self.wrong)
        return (
            f"precision {precision:.4f}  recall {self.right / max(1, self.right + self.missed):.4f}  wrong {self.wrong}"
        )


async def run(folder: Path, count: int, asks: int, queued: bool) -> None:
    settings = settings_of.read(folder, {}).with_values(
        key_file=str(folder / "k" / "key"), http__port=0, matching__on=False
    )
    app = open_server(settings, log=Log(CLOCK, (folder / "log").open("w")))
    await app.start()
    people = [person(SEED, n) for n in range(count)]
    await fill(app, people)
    await (queue(app, people) if queued else ask(app, people, asks))
    await app.stop()


async def queue(app: App, people: list[Person]) -> None:
    """Which pairs wait, of those that are one person's."""
    r = random.Random(SEED)
    again = {f"again-{p.number}": (p.id, asked(p, r)) for p in people[::5]}
    for id, (_, made) in again.items():
        await app.interactions.update(SYSTEM, "Patient", id, {**made, "id": id})
    watch, looked, began, spent = Watch(app.interactions.chart), 0, time.monotonic(), time.process_time()
    while seen := await watch.once():
        looked += seen
    took, spent = time.monotonic() - began, time.process_time() - spent
    read, right = app.database.read, {frozenset((id, own)) for id, (own, _) in again.items()}
    found: dict[str, list[bool]] = {"certain": [], "probable": []}
    for n in range(1, matches.count(read, "open") + 1):
        pair = matches.get(read, n)
        assert pair is not None
        rows = [resources.read_rid(read, rid) for rid in (pair.low, pair.high)]
        found[pair.grade].append(frozenset(row.id for row in rows if row) in right)
    for grade, rights in found.items():
        print(f"{grade:10} {len(rights)} pairs, {sum(rights)} of them one person's")
    print(f"of {len(right)} registered twice {sum(map(sum, found.values()))} wait")
    print(f"{looked / took:.0f} Patients a second, CPU {spent / looked * 1000:.1f} ms each, {looked} Patients")


async def ask(app: App, people: list[Person], asks: int) -> None:
    tallies = {
        "certain": Tally(("certain",), False),
        "best, probable or better": Tally(("certain", "probable"), True),
        "anywhere in the list": Tally(("certain", "probable", "possible"), False),
    }
    r, spent = random.Random(SEED), 0.0
    for n in range(asks):
        there = n % 2 == 0
        who = r.choice(people) if there else person(SEED, len(people) + n)
        wanted = asked(who, r)
        began = time.process_time()
        found = await match(app, wanted)
        spent += time.process_time() - began
        for tally in tallies.values():
            tally.add(found, who.id if there else "")
    for name, tally in tallies.items():
        print(f"{name:26} {tally}")
    print(f"CPU {spent / asks * 1000:.1f} ms an ask, {len(people)} people")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--asks", type=int, default=500)
    parser.add_argument("--queue", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder), given.people, given.asks, given.queue))


if __name__ == "__main__":
    main()
