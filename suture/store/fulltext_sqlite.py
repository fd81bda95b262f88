"""Full text by SQLite's FTS5: an index without the texts themselves, in the same encrypted file. https://sqlite.org/fts5.html"""

from __future__ import annotations

from collections.abc import Sequence

from suture.standards.fhir.search_query import Tree, Words
from suture.store.connection import Tx
from suture.store.search_sql import Sql


class Fts5:
    """Row numbers of resources are row numbers of the index."""

    def create(self, tx: Tx) -> None:
        tx.execute(
            "CREATE VIRTUAL TABLE IF NOT EXISTS fulltext USING fts5(narrative, content, content='', "
            "contentless_delete=1, tokenize='unicode61 remove_diacritics 0')"
        )

    def remove(self, tx: Tx) -> None:
        tx.execute("DROP TABLE IF EXISTS fulltext")

    def put(self, tx: Tx, rid: int, narrative: Sequence[str], content: Sequence[str]) -> None:
        sql = "INSERT OR REPLACE INTO fulltext (rowid, narrative, content) VALUES (?, ?, ?)"
        tx.execute(sql, (rid, " ".join(narrative), " ".join(content)))

    def forget(self, tx: Tx, rid: int) -> None:
        tx.execute("DELETE FROM fulltext WHERE rowid = ?", (rid,))

    def matching(self, column: str, asked: Words) -> Sql:
        question = f"{{{column}}} : ({_question(asked.tree)})"
        return Sql("SELECT rowid AS rid FROM fulltext WHERE fulltext MATCH ?", (question,))


def _question(tree: Tree) -> str:
    """Words are letters and digits only, so nothing of them can be an operator inside quotation marks."""
    kind, *parts = tree
    if kind in ("phrase", "begins"):
        return f'"{" ".join(parts)}"{" *" if kind == "begins" else ""}'
    return "(" + f" {kind.upper()} ".join(_question(part) for part in parts) + ")"
