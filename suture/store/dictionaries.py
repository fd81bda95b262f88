"""Trains zstd dictionaries on the site's own rows (RFC 8878, section 5): first after some hundred, then at each fourfold, and
when what comes now is of another kind than what the last one was made from.

A dictionary holds pieces of what it was trained on, so it lives inside the encrypted file and never leaves it.
"""

from __future__ import annotations

import zstandard

from suture.store.bodies import DamagedPage
from suture.store.connection import Connection, Tx
from suture.store.shared import Fit, Shared

FIRST = 500  # rows of a kind before the first training
GROWTH = 4  # the next training comes at this many times the rows
WORSE = 1.25  # times larger bodies become when others come than those a dictionary was made from
AGAIN = 1.05  # times the rows of the last training before the next one for that reason
SAMPLES = 4_000
RECENT = 20_000  # keys from which half of the samples are
SAMPLE_BYTES = 16 << 10  # of a longer body only the beginning is looked at
DICTIONARY_BYTES = 112 << 10

# kind -> table, key, dictionary number, body
_SOURCES = {
    "resource": ("res", "rid", "zd", "body"),
    "message": ("message", "mid", "zd", "body"),
    "content": ("step", "sid", "zd", "output"),
}


def load(connection: Connection) -> None:
    """At the start: which dictionary each kind packs with, and how many rows it was made from."""
    for kind, number, rows in connection.execute(
        "SELECT kind, zd, rows FROM dictionary d WHERE zd = (SELECT max(zd) FROM dictionary WHERE kind = d.kind)"
    ):
        connection.shared.current[kind] = number
        connection.shared.trained[kind] = rows
    for kind, (table, *_) in _SOURCES.items():
        connection.shared.packed[kind] = max(_first(connection, table), connection.shared.trained.get(kind, 0))


def _first(connection: Connection, table: str) -> int:
    """How many of the first rows there are; none when a page is damaged, which must not keep a server from its start."""
    try:
        rows = connection.one(f"SELECT count(*) FROM (SELECT 1 FROM {table} LIMIT {FIRST})")
    except DamagedPage:
        return 0
    return rows[0] if rows else 0


def due(shared: Shared) -> list[str]:
    """The kinds that have grown enough for a (new) dictionary."""
    return [kind for kind in _SOURCES if shared.packed[kind] >= max(FIRST, _next(shared, kind))]


def _next(shared: Shared, kind: str) -> float:
    """At how many rows the next training is."""
    fit = shared.fits[kind]
    return shared.trained.get(kind, 0) * (AGAIN if fit.last > WORSE * fit.first else GROWTH)


def sample(connection: Connection, kind: str) -> list[bytes]:
    """Bodies whose keys are spread evenly over all there are, and as many over the last ones."""
    table, key, number, body = _SOURCES[kind]
    ends = connection.one(f"SELECT min({key}), max({key}) FROM {table}")
    if ends is None or ends[0] is None:
        return []
    wanted = f"{key} >= ? AND {body} IS NOT NULL"
    nearest = f"SELECT {key}, {number}, {body} FROM {table} WHERE {wanted} ORDER BY {key} LIMIT 1"
    places = sorted({*_spread(*ends), *_spread(max(ends[0], ends[1] - RECENT), ends[1])})
    found = {row[0]: row[1:] for at in places if (row := connection.one(nearest, (at,)))}
    return [connection.bodies.unpack(*packed)[:SAMPLE_BYTES] for packed in found.values()]


def _spread(first: int, last: int) -> range:
    return range(first, last + 1, max(1, 2 * (last - first) // SAMPLES))


def train(samples: list[bytes]) -> bytes:
    """A dictionary of these samples; empty when there is too little to learn from."""
    try:
        return zstandard.train_dictionary(DICTIONARY_BYTES, [*samples], d=8, k=1024).as_bytes()
    except zstandard.ZstdError:
        return b""


def keep(tx: Tx, kind: str, trained: bytes, rows: int) -> None:
    """Puts a dictionary in use from the next body on; old rows stay with theirs."""
    tx.execute(
        "INSERT INTO dictionary (kind, made, rows, bytes) VALUES (?, ?, ?, ?)",
        (kind, tx.now, rows, tx.bodies.sealed(trained)),
    )
    shared, number = tx.shared, tx.last_rowid

    def use() -> None:
        shared.dictionaries[number] = trained
        shared.current[kind] = number
        shared.fits[kind] = Fit()

    tx.after_commit(use)
