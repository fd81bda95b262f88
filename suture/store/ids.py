"""Resource ids as they stand in the store: a UUID (RFC 9562) takes 16 bytes."""

from __future__ import annotations

import uuid


def key_of(id: str) -> bytes | str:
    """An id as it stands in res.fid: 16 bytes for a UUID in its plain form, else the text."""
    if len(id) == 36 and id[8] == "-":
        try:
            parsed = uuid.UUID(id)
        except ValueError:
            return id
        if str(parsed) == id:
            return parsed.bytes
    return id


def id_of(key: bytes | str) -> str:
    return key if isinstance(key, str) else str(uuid.UUID(bytes=key))
