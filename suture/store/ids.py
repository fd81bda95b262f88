"""Resource ids as they stand in the store: a UUID (RFC 9562) takes 16 bytes."""

from __future__ import annotations

import re
from functools import lru_cache

UUID_BYTES = 16
_UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class TextId(str):
    """An id that is no UUID; PostgreSQL keeps both kinds in one column of bytes and must know it from a text."""

    __slots__ = ()


@lru_cache(16_384)  # a chart's rows name the same few patients and encounters
def key_of(id: str) -> bytes | str:
    """An id as it stands in res.fid: 16 bytes for a UUID in its plain form, else the text."""
    return bytes.fromhex(id.replace("-", "")) if _UUID.fullmatch(id) else TextId(id)


def id_of(key: bytes | str) -> str:
    if isinstance(key, str):
        return str(key)
    if len(key) != UUID_BYTES:
        return key.rstrip(b"\0").decode()
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
