"""Resources: versions, history, deletion, conflicts; what was written is what is read, byte for byte."""

from __future__ import annotations

import pytest

from suture.clock import new_id
from suture.errors import Conflict, PreconditionFailed
from suture.store import resources
from suture.store.database import Database
from suture.store.verify import verify

BODY = b'{"resourceType":"Patient","id":"x", "name":[{"family":"Stone"}] , "multipleBirthInteger" : 2}'


async def test_a_write_is_read_back_byte_for_byte_but_for_id_and_meta(store: Database) -> None:
    row = await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY))
    found = resources.read(store.read, "Patient", "x")
    assert found is not None
    assert found.body == row.body
    head, _, rest = found.body.partition(b',"meta":{')
    assert head + rest[rest.index(b"}") + 1 :] == BODY


async def test_the_same_body_makes_no_new_version(store: Database) -> None:
    await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY))
    again = await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY))
    assert (again.version, again.change) == (1, resources.UNCHANGED)


async def test_versions_deletion_and_return(store: Database) -> None:
    id = new_id()
    first = await store.write(lambda tx: resources.put(tx, "Patient", id, BODY, method="POST"))
    other = BODY.replace(b"Stone", b"River")
    second = await store.write(lambda tx: resources.put(tx, "Patient", id, other, if_version=1))
    gone = await store.write(lambda tx: resources.delete(tx, "Patient", id))
    back = await store.write(lambda tx: resources.put(tx, "Patient", id, BODY))
    assert [first.change, second.change, gone and gone.change, back.change] == [
        "created", "updated", "deleted", "created",
    ]  # fmt: skip
    seen = resources.history(store.read, "Patient", id)
    assert [(r.version, r.method) for r in seen] == [(4, "PUT"), (3, "DELETE"), (2, "PUT"), (1, "POST")]
    assert resources.vread(store.read, "Patient", id, 2) == second._replace(change="", patient=None)
    assert resources.history(store.read, "Patient") == seen
    assert resources.history(store.read) == seen


async def test_if_match_and_ids_in_use_are_refused(store: Database) -> None:
    await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY))
    with pytest.raises(PreconditionFailed, match="no longer at the version"):
        await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY, if_version=7))
    with pytest.raises(Conflict, match="id is in use"):
        await store.write(lambda tx: resources.put(tx, "Patient", "x", BODY, only_new=True))


def test_a_chain_of_references_ahead_gives_every_resource_its_own_number(store: Database) -> None:
    """Each comes before what it refers to, each in a transaction of its own."""
    for number in range(6):
        body = b'{"resourceType":"Patient","link":[{"other":{"reference":"Patient/p%d"},"type":"seealso"}]}' % (
            number + 1
        )
        store.write_now(lambda tx, n=number, b=body: resources.put(tx, "Patient", f"p{n}", b))
    numbers = [row.rid for n in range(6) if (row := resources.read(store.read, "Patient", f"p{n}"))]
    assert len(set(numbers)) == 6
    assert [finding for finding in verify(store) if not finding.good] == []
