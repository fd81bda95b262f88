"""Interned texts: resource types, sources, flows, connections; a row holds a small number instead of the text."""

from __future__ import annotations

from suture.store.connection import Connection, Tx

REMEMBERED = 50_000


def number(tx: Tx, text: str) -> int:
    """The number of `text`, given now if it has none yet."""
    known = tx.shared.names.get(text)
    if known is not None:
        return known
    row = tx.one("SELECT nid FROM name WHERE text = ?", (text,))
    if row is None:
        tx.execute("INSERT INTO name (text) VALUES (?)", (text,))
        row = (tx.last_rowid,)
    tx.remember(tx.shared.names, text, int(row[0]), REMEMBERED)
    return int(row[0])


def find(connection: Connection, text: str) -> int:
    """The number of `text`, or 0 (which no row has)."""
    known = connection.shared.names.get(text)
    if known is None:
        row = connection.one("SELECT nid FROM name WHERE text = ?", (text,))
        if row is None:
            return 0
        known = int(row[0])
        connection.remember(connection.shared.names, text, known, REMEMBERED)
    return known


def text(connection: Connection, number: int) -> str:
    """The text of a number."""
    known = connection.shared.texts.get(number)
    if known is None:
        row = connection.one("SELECT text FROM name WHERE nid = ?", (number,))
        known = row[0] if row else ""
        if row:
            connection.remember(connection.shared.texts, number, known, REMEMBERED)
    return known
