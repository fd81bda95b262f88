"""Full text by PostgreSQL: two tsvectors a resource with GIN indexes. https://www.postgresql.org/docs/current/datatype-textsearch.html

Vectors and questions are written out word by word, so no dictionary of the database has a say in what a word is.
"""

from __future__ import annotations

from collections.abc import Sequence

from suture.standards.fhir.search_query import Tree, Words
from suture.store.connection import Tx
from suture.store.search_sql import Sql

LAST = 16_383  # the highest place of a word in a tsvector
MOST_PLACES = 255  # of one word


class Tsvector:
    def create(self, tx: Tx) -> None:
        tx.execute(
            "CREATE TABLE IF NOT EXISTS fulltext (rid BIGINT PRIMARY KEY, narrative tsvector NOT NULL, content tsvector NOT NULL)"
        )
        tx.execute("CREATE INDEX IF NOT EXISTS fulltext_narrative ON fulltext USING gin (narrative)")
        tx.execute("CREATE INDEX IF NOT EXISTS fulltext_content ON fulltext USING gin (content)")

    def remove(self, tx: Tx) -> None:
        tx.execute("DROP TABLE IF EXISTS fulltext")

    def put(self, tx: Tx, rid: int, narrative: Sequence[str], content: Sequence[str]) -> None:
        tx.execute(
            "INSERT INTO fulltext VALUES (?, CAST(? AS tsvector), CAST(? AS tsvector)) ON CONFLICT (rid) DO UPDATE "
            "SET narrative = excluded.narrative, content = excluded.content",
            (rid, _vector(narrative), _vector(content)),
        )

    def forget(self, tx: Tx, rid: int) -> None:
        tx.execute("DELETE FROM fulltext WHERE rid = ?", (rid,))

    def matching(self, column: str, asked: Words) -> Sql:
        return Sql(f"SELECT rid FROM fulltext WHERE {column} @@ CAST(? AS tsquery)", (_question(asked.tree),))


def _vector(words: Sequence[str]) -> str:
    """`'word':1,7 'other':2`; words are letters and digits only."""
    places: dict[str, list[str]] = {}
    for number, word in enumerate(words[:LAST], 1):
        places.setdefault(word, []).append(str(number))
    return " ".join(f"'{word}':{','.join(at[:MOST_PLACES])}" for word, at in places.items())


def _question(tree: Tree) -> str:
    kind, *parts = tree
    if kind in ("phrase", "begins"):
        words = [f"'{word}'" for word in parts]
        return "(" + " <-> ".join([*words[:-1], words[-1] + (":*" if kind == "begins" else "")]) + ")"
    mark = {"and": " & ", "or": " | ", "not": " & !"}[kind]
    return "(" + mark.join(_question(part) for part in parts) + ")"
