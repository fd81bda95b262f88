"""A process that is killed while it writes: everything it acknowledged is there, nothing is half there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from suture.message import MessageState
from suture.store import audit, messages, resources
from suture.store.queue import deliveries, runs
from suture.store.verify import verify
from tests.stores import database

CHILD = """
import asyncio, sys
from pathlib import Path
from suture.clock import new_id
from suture.message import Message
from suture.store import audit, messages, resources
from suture.store.audit import AuditRow
from suture.store.queue import deliveries, runs
from tests.stores import database

store = database(Path(sys.argv[1]))
start = int(sys.argv[2])

def unit(tx, number):
    text = f"MSH|^~\\\\&|A|B|||||ADT^A01|{number}|P|2.5\\rPID|{number}\\r".encode()
    kept = messages.accept(tx, Message(new_id(), "mllp", "hl7v2", text, 0, str(number), "ADT^A01", (f"p{number}",)))
    run = runs.insert(tx, kept.mid, "flow", lane=f"p{number % 5}")
    body = b'{"resourceType":"Patient","identifier":[{"system":"urn:a","value":"%d"}]}' % number
    resources.put(tx, "Patient", f"p{number}", body)
    deliveries.enqueue(tx, run=run.run, mid=kept.mid, step="s", connection="c", content=text, content_type="x",
                       lane=f"p{number % 5}")
    audit.append(tx, AuditRow("flow:flow", "create", "Patient", f"p{number}"))

async def client(first):
    number = first
    while True:
        await store.write(lambda tx, n=number: unit(tx, n))
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()
        number += 8

async def all():
    await asyncio.gather(*(client(start + n) for n in range(8)))

asyncio.run(all())
"""


@pytest.mark.slow
def test_what_was_acknowledged_before_a_kill_is_there_whole_and_in_order(tmp_path: Path) -> None:
    acknowledged: set[int] = set()
    for turn in range(4):
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(turn * 1_000_000)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        acknowledged.add(int(child.stdout.readline()))
        time.sleep(0.15 * (turn + 1))
        child.kill()
        acknowledged |= {int(line) for line in child.stdout.read().split("\n")[:-1]}
        child.wait()
    started = time.monotonic()
    store = database(tmp_path)
    assert time.monotonic() - started < 10
    assert len(acknowledged) > 20
    for number in acknowledged:
        assert resources.read(store.read, "Patient", f"p{number}") is not None
        found = messages.find(store.read, control_id=str(number))
        assert [entry.state for entry in found] == [MessageState.RECEIVED]
        assert messages.original(store.read, found[0].mid).endswith(b"PID|%d\r" % number)
    count = store.read.one("SELECT count(*) FROM message")
    assert count == store.read.one("SELECT count(*) FROM run") == store.read.one("SELECT count(*) FROM delivery")
    assert count == store.read.one("SELECT count(*) FROM res") == (audit.head(store.read).n,)
    assert [finding for finding in verify(store) if not finding.good] == []
    assert one_due_a_lane(store.write_now(lambda tx: [run.lane for run in runs.lease(tx, "me", tx.now + 10, count=99)]))
    assert one_due_a_lane([d.lane for d in deliveries.due(store.read, "c", 1 << 60, 99)])
    store.close()


def one_due_a_lane(lanes: list[str]) -> bool:
    return sorted(lanes) == [f"p{n}" for n in range(5)]
