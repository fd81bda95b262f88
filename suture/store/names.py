"""Interned texts: resource types, sources, flows, connections; a row holds a small number instead of the text.

Names are never deleted. What senders choose is interned by `sent` alone, which gives no number past a bound.
"""

from __future__ import annotations

from suture.store.connection import Connection, Tx

REMEMBERED = 50_000
LONGEST = 200  # characters; what is longer is looked up each time
MOST = 50_000  # names there may be before those that senders choose are no longer told apart
OTHER = "other"


def number(tx: Tx, text: str) -> int:
    """The number of `text`, given now if it has none yet."""
    known = tx.shared.names.get(text)
    if known is not None:
        return known
    row = tx.one("SELECT nid FROM name WHERE text = ?", (text,))
    if row is None:
        tx.execute("INSERT INTO name (text) VALUES (?)", (text,))
        row = (tx.last_rowid,)
    if len(text) <= LONGEST:
        tx.remember(tx.shared.names, text, int(row[0]), REMEMBERED)
    return int(row[0])


def sent(tx: Tx, text: str) -> int:
    """The number of a text that a sender chose; that of OTHER when it is new and too long, or there are too many."""
    known = find(tx, text)
    if known:
        return known
    newest = tx.one("SELECT max(nid) FROM name")
    crowded = newest is not None and (newest[0] or 0) >= MOST
    return number(tx, OTHER if crowded or len(text) > LONGEST else text)


def find(connection: Connection, text: str) -> int:
    """The number of `text`, or 0 (which no row has)."""
    known = connection.shared.names.get(text)
    if known is None:
        if connection.outset and connection.shared.nameless.get(text) == connection.outset.names:
            return 0
        row = connection.one("SELECT nid FROM name WHERE text = ?", (text,))
        if row is None:
            if connection.outset and len(text) <= LONGEST:
                connection.remember(connection.shared.nameless, text, connection.outset.names, REMEMBERED)
            return 0
        known = int(row[0])
        if len(text) <= LONGEST:
            connection.remember(connection.shared.names, text, known, REMEMBERED)
    return known


def text(connection: Connection, number: int) -> str:
    """The text of a number."""
    known = connection.shared.texts.get(number)
    if known is None:
        row = connection.one("SELECT text FROM name WHERE nid = ?", (number,))
        known = row[0] if row else ""
        if row and len(known) <= LONGEST:
            connection.remember(connection.shared.texts, number, known, REMEMBERED)
    return known
