"""Which values of a search parameter stand on any resource of a type: the index is walked from one to the next.

https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

from collections.abc import Iterator

from suture.store import codes, search_lookup
from suture.store.connection import Connection

_NEXT = """
SELECT tid, EXISTS (SELECT 1 FROM T WHERE T.lid = posting.lid) FROM posting WHERE pid = ? AND tid > ? ORDER BY tid LIMIT 1
"""


def values(connection: Connection, type: str, parameter: str, rows: str) -> Iterator[tuple[str, str]]:
    """(system, code) of each value, codes in lower case; `rows`: tokens or urls. Each costs one look into the index."""
    for pid in search_lookup.parameters(connection, (type,), parameter, rows):
        last = 0
        while (row := connection.one(_NEXT, (pid, last))) is not None:
            last, used = row
            yield from codes.texts(connection, [last]).values() if used else ()
