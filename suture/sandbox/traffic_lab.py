"""The sandbox's laboratory: results that come preliminary, final, corrected, and sometimes late (HL7 v2.5.1 chapter 7)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from suture.sandbox.people import Person
from suture.sandbox.traffic_segments import header, line, message, patient, stamp, text

DOCTORS = (
    ("1245319706", "Ramaswamy", "Priya"),
    ("1245319714", "Okafor", "Chidi"),
    ("1245319722", "Lindqvist", "Ingrid"),
)
# LOINC, what it is, UCUM unit, reference range, most decimals
TESTS = (
    ("2345-7", "Glucose", "mg/dL", 70, 99, 0),
    ("3094-0", "Urea nitrogen", "mg/dL", 7, 20, 0),
    ("2160-0", "Creatinine", "mg/dL", 0.6, 1.3, 2),
    ("2951-2", "Sodium", "mmol/L", 136, 145, 0),
    ("2823-3", "Potassium", "mmol/L", 3.5, 5.1, 1),
    ("2075-0", "Chloride", "mmol/L", 98, 107, 0),
    ("2028-9", "Carbon dioxide", "mmol/L", 21, 32, 0),
    ("17861-6", "Calcium", "mg/dL", 8.5, 10.2, 1),
    ("1742-6", "Alanine aminotransferase", "U/L", 7, 56, 0),
    ("1975-2", "Bilirubin, total", "mg/dL", 0.1, 1.2, 1),
    ("6690-2", "Leukocytes", "10*3/uL", 4.5, 11.0, 1),
    ("718-7", "Hemoglobin", "g/dL", 12.0, 17.5, 1),
    ("777-3", "Platelets", "10*3/uL", 150, 400, 0),
)
# LOINC, what it is, the first of its tests
PANELS = (
    ("24323-8", "Comprehensive metabolic panel", 0),
    ("51990-0", "Basic metabolic panel", 0),
    ("58410-2", "CBC panel", 10),
)
REMARKS = ("Specimen slightly hemolyzed", "Result repeated & confirmed", "Called to ward 2000 at 07:40")


class Seen(Protocol):
    """Whom a result is about."""

    person: Person
    mrn: str
    number: str


@dataclass(slots=True)
class Order:
    """An order and where its results stand."""

    seen: Seen
    number: str
    panel: tuple[str, str, int]
    drawn: datetime
    status: str = ""


class Laboratory:
    """Orders in work; each result message takes one of them a step further."""

    def __init__(self, r: random.Random) -> None:
        self.random = r
        self.open: list[Order] = []
        self.made = 0

    def result(self, seen: Seen, tick: Callable[[], tuple[datetime, str]], obx: int) -> bytes:
        """One ORU^R01 with `obx` results."""
        now, control_id = tick()
        order = self._order(seen, now)
        order.status = self._next(order.status)
        if order.status == "C":
            self.open.remove(order)
        return message([header("ORU^R01", control_id, now, "LAB"), *self._segments(order, now, obx)])

    def _order(self, seen: Seen, now: datetime) -> Order:
        if self.open and self.random.random() < 0.5:
            return self.random.choice(self.open)
        self.made += 1
        order = Order(seen, f"L{self.made:07d}", self.random.choice(PANELS), now - timedelta(minutes=90))
        self.open = [*self.open[-20:], order]
        return order

    def _next(self, status: str) -> str:
        """Preliminary, final, corrected; one in eight preliminary results arrives after the final one."""
        if status == "":
            return self.random.choice("PF")
        if status == "F" and self.random.random() < 0.125:
            return "P"
        return {"P": "F", "F": "C"}[status]

    def _segments(self, order: Order, now: datetime, obx: int) -> list[str]:
        p = order.seen.person
        doctor = text(*self.random.choice(DOCTORS))
        account = order.seen.number
        rows = [
            patient(p, order.seen.mrn, account),
            line("PV1", {1: "1", 2: "O", 19: account}) if account else "",
            line("ORC", {1: "RE", 2: f"{order.number}^EHR", 3: f"{order.number}^LAB", 12: doctor}),
            line("OBR", {1: "1", 2: f"{order.number}^EHR", 3: f"{order.number}^LAB", 4: text(*order.panel[:2], "LN"), 7: stamp(order.drawn), 16: doctor, 22: stamp(now), 24: "LAB", 25: order.status}),
        ]  # fmt: skip
        for number in range(1, obx + 1):
            rows.append(self._test(number, order, now))
            if self.random.random() < 0.05:
                rows.append(line("NTE", {1: "1", 2: "L", 3: text(self.random.choice(REMARKS))}))
        rows.append(
            line("SPM", {1: "1", 2: f"S{order.number}&LAB", 4: "119297000^Blood specimen^SCT", 17: stamp(order.drawn)})
        )
        return rows

    def _test(self, number: int, order: Order, now: datetime) -> str:
        """A numeric result, in or out of its range; panels longer than the list go round it."""
        code, name, unit, low, high, decimals = TESTS[(order.panel[2] + number - 1) % len(TESTS)]
        spread = high - low
        value = round(self.random.uniform(low - spread * 0.3, high + spread * 0.4), decimals)
        flag = "L" if value < low else "H" if value > high else "N"
        return line("OBX", {1: str(number), 2: "NM", 3: text(code, name, "LN"), 4: str((number - 1) // len(TESTS) + 1) if number > len(TESTS) else "", 5: f"{max(value, 0):.{decimals}f}", 6: text(unit, unit, "UCUM"), 7: f"{low}-{high}", 8: flag, 11: order.status, 14: stamp(order.drawn), 19: stamp(now)})  # fmt: skip
