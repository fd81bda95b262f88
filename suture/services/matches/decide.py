"""What a person decides about a pair: link, not one person, later, unlink; each in one commit with its audit row.

https://hl7.org/fhir/R4/patient-definitions.html#Patient.link
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import suture.services.interactions.guard as guard
import suture.services.interactions.write as write
import suture.standards.fhir.patient_links as linking
from suture.access import policy
from suture.access.caller import Caller
from suture.errors import Conflict, Invalid, NotFound
from suture.services.interactions.chart import Access, Chart
from suture.services.interactions.incoming import accept
from suture.standards.fhir import json
from suture.store import matches, resources, whose
from suture.store.connection import Connection, Tx
from suture.store.matches import Pair
from suture.store.resources import Row

PERMISSION = "matches.decide"
KIND = "Match"  # what a pair is called in the trail
TYPE = "Patient"
LOOKED_BACK = 50  # versions
Patient = dict[str, Any]


def seen(connection: Connection, caller: Caller, n: int) -> tuple[Pair, Row, Row]:
    """A pair with both records as they are today, for who may read both; raises NotFound alike for all else."""
    pair = matches.get(connection, n)
    rows = [resources.read_rid(connection, rid) for rid in (pair.low, pair.high)] if pair else []
    judged = guard.judge(connection, caller, "read")
    one, other = rows if rows else (None, None)
    if pair is None or one is None or other is None or one.deleted or other.deleted:
        raise unknown()
    if not (judged(one) and judged(other)):
        raise unknown()
    return pair, one, other


def unknown() -> NotFound:
    return NotFound("no such pair", where="match", mend="GET /api/matches lists those that wait for you.")


async def link(chart: Chart, caller: Caller, n: int, survivor: str, kind: str = linking.REPLACES) -> Pair:
    """Both records are of one person. `replaces`: `survivor` stands for the other from now on; `seealso`: both stand."""
    if kind not in linking.KINDS:
        raise Invalid("not a kind of link", where="kind", mend=f"One of: {', '.join(linking.KINDS)}.")

    def unit(tx: Tx, access: Access, pair: Pair, one: Row, other: Row) -> None:
        _require(pair, matches.OPEN)
        first, second = _ordered(one, other, survivor)
        access.id = first.id
        _require_free(first, second, kind)
        sides = ((first, second, kind), (second, first, linking.OTHER_SIDE[kind]))
        for row, to, side in sides:
            _put(chart, tx, access, row, linking.tied(json.reread(row.body), to.id, side))
        matches.decide(tx, pair.n, matches.LINKED, caller.id)

    return await _decided(chart, caller, "link", n, unit, TYPE, kind)


async def unlink(chart: Chart, caller: Caller, n: int) -> Pair:
    """The link was wrong: both records lose it, and the pair counts as two persons."""

    def unit(tx: Tx, access: Access, pair: Pair, one: Row, other: Row) -> None:
        if not linking.linked(json.reread(one.body), json.reread(other.body), tx.shared.base):
            raise Conflict("the records are not linked", where="match", mend="Look at both again.")
        access.id = one.id
        for row, to in ((one, other), (other, one)):
            _put(chart, tx, access, row, _freed(tx, row, to.id))
        matches.decide(tx, pair.n, matches.APART, caller.id)

    return await _decided(chart, caller, "unlink", n, unit, TYPE)


async def dismiss(chart: Chart, caller: Caller, n: int) -> Pair:
    """They are two persons; it is not asked again unless what is known of one of them changes."""

    def unit(tx: Tx, access: Access, pair: Pair, one: Row, other: Row) -> None:
        _require(pair, matches.OPEN)
        matches.decide(tx, pair.n, matches.APART, caller.id)

    return await _decided(chart, caller, "dismiss", n, unit)


async def later(chart: Chart, caller: Caller, n: int) -> Pair:
    """Nobody can tell yet; it is shown again after matching.later."""
    wait = int(chart.settings["matching.later"] * 1_000_000)

    def unit(tx: Tx, access: Access, pair: Pair, one: Row, other: Row) -> None:
        _require(pair, matches.OPEN)
        matches.put_off(tx, pair.n, tx.now + wait, caller.id)

    return await _decided(chart, caller, "put-off", n, unit)


Unit = Callable[[Tx, Access, Pair, Row, Row], None]


async def _decided(
    chart: Chart, caller: Caller, what: str, n: int, unit: Unit, type: str = KIND, detail: str = ""
) -> Pair:
    """Runs a decision on the pair as it is at that moment; its audit row names both persons."""
    async with chart.access(caller, what, KIND, str(n)) as access:
        policy.require_permission(caller, PERMISSION)
        access.detail = detail

        def whole(tx: Tx) -> Pair:
            pair, one, other = seen(tx, caller, n)
            access.concerns(whose.of_rows(tx, (one, other)))
            if type == TYPE:
                policy.require(caller, "update", TYPE)
                access.type = TYPE
            unit(tx, access, pair, one, other)
            access.append(tx)
            return matches.get(tx, pair.n) or pair

        return await chart.database.write(whole)


def _put(chart: Chart, tx: Tx, access: Access, row: Row, patient: Patient) -> None:
    """Writes a version as the caller, checked and judged like every update."""
    incoming = accept(patient, TYPE, row.id, base=chart.database.base)
    outcome = write.updating(tx, access.caller, incoming, row.id, row.version)
    if outcome.row is not None:
        write.kept(chart, tx, access.caller, outcome.row)


def _require(pair: Pair, state: str) -> None:
    if pair.state != state:
        raise Conflict(f"the pair is {pair.state} already", where="match", mend="Look at it again: GET /api/matches.")


def _ordered(one: Row, other: Row, survivor: str) -> tuple[Row, Row]:
    """The one that stands first."""
    if survivor not in (one.id, other.id):
        raise Invalid("not one of both records", where="survivor", mend="Give the id of the record that is to stand.")
    return (one, other) if survivor == one.id else (other, one)


def _require_free(first: Row, second: Row, kind: str) -> None:
    """A record that was replaced neither stands for another one nor is replaced again."""
    for row in (first, second):
        if kind == linking.REPLACES and linking.replaced(json.reread(row.body)):
            raise Conflict(
                f"Patient/{row.id} was replaced already", where="match", mend="Link the record that stands for it."
            )


def _freed(tx: Tx, row: Row, other: str) -> Patient:
    """Without the link; in use or not as it was before the link was made."""
    base, today = tx.shared.base, json.reread(row.body)
    free = linking.untied(today, other, base)
    if other not in linking.targets(today, base, linking.REPLACED) or linking.replaced(free):
        return free
    free.pop("active", None)
    before = _before(tx, row, other)
    return {**free, "active": before["active"]} if "active" in before else free


def _before(tx: Tx, row: Row, other: str) -> Patient:
    """The newest version without the link; {} when it was made with it."""
    for old in resources.history(tx, TYPE, row.id, count=LOOKED_BACK):
        was = json.reread(old.body) if old.body else {}
        if was and other not in linking.targets(was, tx.shared.base):
            return was
    return {}
