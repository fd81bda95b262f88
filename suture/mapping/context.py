"""What a map is told from outside: the source and its names, the time, and how new ids are made (RFC 9562, UUIDv5)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

# the namespace of every id a map makes: uuid5(URL, "https://suture.health/maps")
NAMESPACE = bytes.fromhex("6f1e0d8a3a3c5f7e9b1d2c4a5e6f7081")


@lru_cache(8192)
def stable_id(name: str) -> str:
    """The UUIDv5 of a name: the same name has the same id in every message and on every machine."""
    digest = hashlib.sha1(NAMESPACE + name.encode("utf-8", "surrogatepass"), usedforsecurity=False).digest()[:16]
    number = int.from_bytes(digest, "big")
    number = number & ~(0xF000 << 64) | (5 << 76)
    number = number & ~(0xC000 << 48) | (0x8000 << 48)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@dataclass(frozen=True, slots=True)
class Source:
    """One sender as the site knows it: its time zone and what its authorities and code systems are called elsewhere."""

    id: str = "source"
    time_zone: str = "UTC"  # of times that come without an offset (IANA name)
    system: str = ""  # of identifiers without an authority; default: urn:suture:source:ID
    authorities: Mapping[str, str] = field(default_factory=dict)  # assigning authority -> system
    coding_systems: Mapping[str, str] = field(default_factory=dict)  # name of a code system -> URI
    country: str = "US"  # of telephone numbers without a country code
    memo: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)  # names already looked up

    @property
    def own(self) -> str:
        """The system of everything this source numbers itself."""
        return self.system or f"urn:suture:source:{self.id}"


@dataclass(frozen=True, slots=True)
class Context:
    """The arguments of a run."""

    source: Source = field(default_factory=Source)
    now: str = ""  # FHIR instant; only maps that ask for %now need it
    new_id: Callable[[str], str] = stable_id
