"""The journal: exact originals, duplicates, flags, listing with filters and pages."""

from __future__ import annotations

import pytest

from suture.clock import new_id
from suture.message import Message, MessageState
from suture.store import codes, messages, names
from suture.store.database import Database

ORU = b"MSH|^~\\&|LAB|HOSP|EHR|HOSP|20260101||ORU^R01|77|P|2.5\rPID|1||4711^^^HOSP\r"


def message(original: bytes = ORU, control_id: str = "77", type: str = "ORU^R01", patient: str = "4711") -> Message:
    return Message(
        new_id(), "mllp:2575", "hl7v2", original, 0, control_id, type, (patient,), attributes={"peer": "::1"}
    )


async def test_a_message_is_kept_exactly(store: Database) -> None:
    sent = message()
    kept = await store.write(lambda tx: messages.accept(tx, sent, sender="LAB|HOSP", answer=b"AA"))
    found = messages.message(store.read, kept.mid)
    assert (found.original, found.id, found.patients, found.attributes) == (ORU, sent.id, ("4711",), {"peer": "::1"})
    assert messages.answer(store.read, kept.mid) == b"AA"


async def test_the_same_again_gets_the_stored_answer_and_no_row(store: Database) -> None:
    first = await store.write(lambda tx: messages.accept(tx, message(), sender="LAB|HOSP", answer=b"AA 1"))
    again = await store.write(lambda tx: messages.accept(tx, message(), sender="LAB|HOSP", answer=b"AA 2"))
    assert (again.duplicate, again.answer, again.id) == (True, b"AA 1", first.id)
    assert len(messages.find(store.read)) == 1


async def test_the_same_control_id_with_another_body_is_flagged(store: Database) -> None:
    first = await store.write(lambda tx: messages.accept(tx, message(), sender="LAB|HOSP"))
    other = await store.write(lambda tx: messages.accept(tx, message(ORU + b"NTE|1\r"), sender="LAB|HOSP"))
    stranger = await store.write(lambda tx: messages.accept(tx, message(ORU + b"NTE|2\r"), sender="PATH|HOSP"))
    assert (other.duplicate, other.same_as, stranger.same_as) == (False, first.id, "")


async def test_messages_are_found_by_what_they_are_indexed_by(store: Database) -> None:
    kept = []
    for number in range(6):
        text = ORU + b"NTE|%d\r" % number
        sent = message(text, str(number), "ADT^A01" if number % 2 else "ORU^R01", f"p{number % 3}")
        kept.append(await store.write(lambda tx, sent=sent: messages.accept(tx, sent)))
    await store.write(lambda tx: messages.set_state(tx, kept[0].mid, MessageState.DONE))
    await store.write(lambda tx: messages.set_state(tx, kept[1].mid, MessageState.FAILED))

    def numbers(**filters: object) -> list[str]:
        return [entry.control_id for entry in messages.find(store.read, **filters)]  # type: ignore[arg-type]

    assert numbers(patient="p1") == ["4", "1"]
    assert numbers(control_id="3") == ["3"]
    assert numbers(type="ADT^A01") == ["5", "3", "1"]
    assert numbers(state=MessageState.FAILED) == ["1"]
    assert numbers(state=MessageState.DONE) == ["0"]
    assert numbers(since=kept[2].mid, until=kept[4].mid) == ["3", "2"]
    assert numbers(count=2, before=kept[4].mid) == ["3", "2"]
    assert numbers(source="nobody") == []


async def test_what_senders_call_themselves_and_their_messages_does_not_fill_the_names(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write_now(lambda tx: messages.accept(tx, message(control_id="first"), sender="first"))
    known = store.read.one("SELECT count(*), max(nid) FROM name")
    assert known is not None
    monkeypatch.setattr(names, "MOST", known[1] + 2)
    for n in range(9):
        sent = message(control_id=str(n), type=f"Z{n:02}^A01")
        store.write_now(lambda tx, sent=sent, n=n: messages.accept(tx, sent, sender=f"sender {n}"))
    long = message(control_id="long", type="x" * 201)
    store.write_now(lambda tx: messages.accept(tx, long, sender="y" * 5000))
    assert store.read.one("SELECT count(*) FROM name") == (known[0] + 3,)  # two types, then all are `other`
    found = [entry.type for entry in messages.find(store.read)]
    assert found == ["other"] * 8 + ["Z01^A01", "Z00^A01", "ORU^R01"]
    assert "x" * 201 not in store.shared.names


async def test_a_sender_of_an_earlier_version_is_known_again(store: Database) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, message(), sender="LAB|HOSP"))
    number = store.write_now(lambda tx: names.number(tx, "LAB|HOSP"))
    store.write_now(lambda tx: tx.execute("UPDATE message SET sender = ?", (number,)).fetchall())
    other = store.write_now(lambda tx: messages.accept(tx, message(ORU + b"NTE|1\r"), sender="LAB|HOSP"))
    assert other.same_as == first.id


def test_long_names_and_codes_are_not_kept_in_memory(store: Database) -> None:
    long = "x" * 2500
    number = store.write_now(lambda tx: names.number(tx, long))
    code = store.write_now(lambda tx: codes.number(tx, "urn:x", long))
    assert (names.find(store.read, long), names.text(store.read, number)) == (number, long)
    assert (
        codes.find(store.read, "urn:x", long) == [code] == [store.write_now(lambda tx: codes.number(tx, "urn:x", long))]
    )
    shared = store.shared
    assert long not in shared.names
    assert number not in shared.texts
    assert ("urn:x", long) not in shared.codes
