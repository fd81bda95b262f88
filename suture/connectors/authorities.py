"""Whom we believe when we call another server: the system's authorities, read once for all connections that name no others.

https://docs.python.org/3/library/ssl.html#ssl.create_default_context
"""

from __future__ import annotations

import ssl
from functools import cache


def context(authorities: str = "") -> ssl.SSLContext:
    """TLS 1.2 or newer, checked against the authorities of a PEM file or else the system's; its caller may add to it."""
    made = ssl.create_default_context(cafile=authorities or None)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


@cache
def of_the_system() -> ssl.SSLContext:
    """The one for every connection without anything of its own: nobody may change it."""
    return context()
