"""A world of resources both in memory and in a database, and the brute force that SQL must agree with."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from suture.standards.fhir import json, search
from suture.standards.fhir.index import extract
from suture.store import resources
from suture.store import search as store_search
from suture.store.database import Database

Resource = dict[str, Any]
Pairs = list[tuple[str, str]]


class World:
    """Resources by type and id, with what was given to them when they were stored."""

    def __init__(self, store: Database, members: Iterable[Resource]) -> None:
        self.store = store
        self.by_key: dict[tuple[str, str], Resource] = {}
        members = list(members)

        def load(tx: Any) -> list[resources.Row]:
            return [
                resources.put(tx, m["resourceType"], m["id"], json.write(m), extract(m, store.base)) for m in members
            ]

        for row in store.write_now(load):
            self.by_key[row.type, row.id] = json.read(row.body)

    def resolve(self, type: str, id: str) -> Resource | None:
        return self.by_key.get((type, id))

    def all(self, type: str) -> list[Resource]:
        return [r for (t, _), r in self.by_key.items() if t == type]

    def brute(self, query: search.SearchQuery) -> set[str]:
        """What every single resource, held against the query, says."""
        return {f"{t}/{i}" for (t, i), r in self.by_key.items() if search.matches(query, r, self, self.store.base)}

    def pages(self, query: search.SearchQuery, count: int = 3) -> list[str]:
        """All pages of the store's answer, one after the other."""
        found: list[str] = []
        query = search.replace(query, count=count)
        for _ in range(10_000):
            page = store_search.find(self.store.read, query)
            assert len(page.rows) <= count
            found += [f"{row.type}/{row.id}" for row in page.rows]
            if page.next is None:
                return found
            sealed = orjson.loads(orjson.dumps([page.next.keys, page.next.row]))  # as a next link carries it
            query = search.replace(query, cursor=search.Cursor(tuple(sealed[0]), sealed[1]))
        raise AssertionError("paging does not end")

    def check(self, type: str, pairs: Pairs, count: int = 3) -> list[str]:
        """The store's answer, after it was found equal to brute force, free of duplicates and rightly counted."""
        query = search.parse(type, pairs, base_url="")
        found = self.pages(query, count)
        assert set(found) == self.brute(query), pairs
        assert len(found) == len(set(found)), pairs
        assert store_search.count(self.store.read, query) == len(found), pairs
        return found
