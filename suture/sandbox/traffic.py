"""HL7 v2 traffic of a hospital that does not exist: the same seed gives the same messages (HL7 v2.5.1 chapters 3 and 7)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from suture.sandbox import people, traffic_lab
from suture.sandbox.people import Person
from suture.sandbox.traffic_segments import (
    allergy,
    diagnosis,
    event,
    header,
    insurance,
    kin,
    merged,
    message,
    patient,
    procedure,
    visit,
)
from suture.sandbox.traffic_variants import VARIANTS

START = datetime(2026, 11, 1, 7, 0)  # local time of the hospital, America/Chicago
WARDS = ("2000", "3100", "4200", "ICU", "ED")


@dataclass(slots=True)
class Stay:
    """What the hospital knows of one registration of one person."""

    person: Person
    mrn: str
    state: str = "new"  # new | known | expected | out | in | left
    number: str = ""  # visit number
    place: str = ""
    before: str = ""  # location before the last transfer
    since: datetime = START
    left: datetime | None = None
    doctor: tuple[str, str, str] = ("1245319706", "Ramaswamy", "Priya")


class Hospital:
    """Registrations and their events, one after the other; `now` moves with every message."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(f"traffic/{seed}")
        self.now = START
        self.stays: list[Stay] = []
        self.sent = 0
        self.persons = 0

    def adt(self) -> bytes:
        """The next event of somebody."""
        stay = self._somebody()
        events = NEXT[stay.state]
        name = self.random.choices(list(events), [weight for weight, _ in events.values()])[0]
        return events[name][1](self, stay, name)

    def patient(self) -> Stay:
        """Somebody who is or was here, for orders and results."""
        return self._somebody()

    def tick(self) -> tuple[datetime, str]:
        """A moment later, and the next control id."""
        self.now += timedelta(seconds=self.random.randint(1, 240))
        self.sent += 1
        return self.now, f"{self.seed % 1000:03d}{self.sent:09d}"

    def _somebody(self) -> Stay:
        """A new person at first and now and then, mostly one that was seen before."""
        if len(self.stays) < 3 or self.random.random() < 0.15:
            self.stays.append(self._newcomer())
        recent = self.stays[-40:]
        return self.random.choice(recent if self.random.random() < 0.8 else self.stays)

    def _newcomer(self) -> Stay:
        """A new person, or one in eight times somebody who is registered once more under another number."""
        if len(self.stays) > 3 and self.random.random() < 0.125:
            known = self.random.choice(self.stays)
            if not known.mrn.startswith("9") and all(s.mrn != f"9{known.mrn}" for s in self.stays):
                return Stay(replace(known.person, middle=""), f"9{known.mrn}")
        self.persons += 1
        person = people.person(self.seed, self.persons)
        return Stay(person, person.mrn)

    def send(self, stay: Stay, name: str, *more: str, pv1: bool = True) -> bytes:
        """One ADT message about a stay."""
        now, control_id = self.tick()
        segments = [
            header(f"ADT^{name}", control_id, now),
            event(name, now),
            patient(stay.person, stay.mrn, stay.number),
        ]
        segments += more
        segments.append(visit(stay, name) if pv1 else "PV1|1|N")
        return message(segments)


def admit(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A01, A04, A05, A28: somebody comes, is expected or only known; with kin, allergies, insurance."""
    r = hospital.random
    if stay.state == "left":
        stay.number = ""  # who comes again after leaving has another visit
    stay.state = {"A01": "in", "A04": "out", "A05": "expected", "A28": "known"}[name]
    if name == "A28":
        return hospital.send(stay, name, kin(stay.person, 1, r), pv1=False)
    stay.number = stay.number or f"V{hospital.seed % 1000:03d}{hospital.sent:06d}"
    stay.since, stay.left = hospital.now, None
    stay.place = _bed(r, "ED" if name == "A04" else r.choice(WARDS))
    stay.doctor = r.choice(traffic_lab.DOCTORS)
    raw = hospital.send(stay, name, kin(stay.person, 1, r))
    return raw + allergy(r) + diagnosis(r, hospital.now) + procedure(r, hospital.now) + insurance(stay.person)


def move(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A02 and its cancel A12."""
    if name == "A12" and stay.before:
        stay.place, stay.before = stay.before, ""
    else:
        name = "A02"
        stay.before, stay.place = stay.place, _bed(hospital.random, hospital.random.choice(WARDS))
    return hospital.send(stay, name)


def leave(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A03 and its cancel A13."""
    stay.state = "left" if name == "A03" else "in"
    stay.left = hospital.now if name == "A03" else None
    return hospital.send(stay, name)


def change_class(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A06 outpatient to inpatient, A07 back."""
    stay.state = "in" if name == "A06" else "out"
    stay.place = _bed(hospital.random, hospital.random.choice(WARDS))
    return hospital.send(stay, name, kin(stay.person, 1, hospital.random))


def cancel_admit(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A11."""
    raw = hospital.send(stay, name)
    stay.state, stay.number = "known", ""
    return raw


def update(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A08 and A31: an address, a telephone number or a name changed."""
    r = hospital.random
    other = people.person(hospital.seed + 7, r.randint(0, 5000))
    stay.person = r.choice(
        (
            replace(stay.person, line=other.line, city=other.city, state=other.state, postal=other.postal),
            replace(stay.person, phone=other.phone),
            replace(stay.person, family=f"{stay.person.family}-{other.family}"[:40]),
        )
    )
    if stay.state == "left" and r.random() < 0.5:
        stay.state, stay.number = "known", ""
    if name == "A31":
        return hospital.send(stay, name, pv1=False)
    return hospital.send(stay, name) + (diagnosis(r, hospital.now) if r.random() < 0.5 else b"")


def merge(hospital: Hospital, stay: Stay, name: str) -> bytes:
    """A40: this person is registered a second time under another number; that number goes.

    Now and then somebody still works under the old number afterwards, as in real life.
    """
    double = next((other for other in hospital.stays if other.mrn == f"9{stay.mrn}"), None)
    if double is None or double.state == "new":
        return update(hospital, stay, "A31")
    if hospital.random.random() < 0.7:
        hospital.stays.remove(double)
    now, control_id = hospital.tick()
    return message(
        [
            header("ADT^A40", control_id, now),
            event("A40", now),
            patient(stay.person, stay.mrn, ""),
            merged(double.mrn, double.person),
        ]
    )


def _bed(r: random.Random, ward: str) -> str:
    return f"{ward}^{r.randint(1, 30):03d}^{r.choice('ABCD')}^LAKESIDE"


Act = Callable[[Hospital, Stay, str], bytes]
# state -> event -> (weight, what happens)
NEXT: dict[str, dict[str, tuple[int, Act]]] = {
    "new": {"A28": (2, admit), "A04": (4, admit), "A01": (4, admit), "A05": (2, admit)},
    "known": {"A31": (4, update), "A04": (4, admit), "A01": (3, admit), "A05": (2, admit), "A40": (3, merge)},
    "expected": {"A01": (6, admit), "A08": (2, update)},
    "out": {"A08": (4, update), "A06": (2, change_class), "A03": (4, leave)},
    "in": {
        "A02": (4, move),
        "A12": (1, move),
        "A08": (4, update),
        "A07": (1, change_class),
        "A03": (4, leave),
        "A11": (1, cancel_admit),
    },
    "left": {"A13": (1, leave), "A08": (3, update), "A40": (2, merge), "A31": (1, update), "A04": (2, admit)},
}


def adt(seed: int, n: int) -> Iterator[bytes]:
    """`n` ADT messages: A01 A02 A03 A04 A05 A06 A07 A08 A11 A12 A13 A28 A31 A40 of persons who come back."""
    hospital = Hospital(seed)
    for _ in range(n):
        yield hospital.adt()


def oru(seed: int, n: int, obx: int = 10) -> Iterator[bytes]:
    """`n` result messages with `obx` OBX each: preliminary, final, corrected, and now and then in the wrong order."""
    hospital = Hospital(seed)
    lab = traffic_lab.Laboratory(hospital.random)
    for _ in range(n):
        yield lab.result(hospital.patient(), hospital.tick, obx)


def mixed(seed: int, n: int, obx: int = 10, odd: float = 0.0) -> Iterator[bytes]:
    """Two ADT for each ORU about the same persons; a share `odd` of them as real senders write them."""
    hospital = Hospital(seed)
    lab = traffic_lab.Laboratory(hospital.random)
    habits = random.Random(f"habits/{seed}")
    for number in range(n):
        raw = lab.result(hospital.patient(), hospital.tick, obx) if number % 3 == 2 else hospital.adt()
        yield habits.choice(list(VARIANTS.values()))(raw) if habits.random() < odd else raw
