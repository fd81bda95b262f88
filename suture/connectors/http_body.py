"""Reads the body of an answer up to a limit, however much is sent and however small it was packed.

https://www.rfc-editor.org/rfc/rfc9110#section-8.4
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import httpx

from suture.errors import SendFailed

ENCODINGS = "gzip, deflate"  # what is asked for; anything else in an answer is refused
PIECE = 65536
_ZLIB = {"gzip": 31, "x-gzip": 31, "deflate": 47}


async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, most: int, where: str
) -> tuple[httpx.Response, bytes]:
    """Sends a request; the answer and its whole body. Raises SendFailed past the limit."""
    request.headers["accept-encoding"] = ENCODINGS
    answer = await client.send(request, stream=True)
    try:
        body = await _read(answer, most, where)
    finally:
        await answer.aclose()
    return answer, body


async def _read(answer: httpx.Response, most: int, where: str) -> bytes:
    body, unpack = bytearray(), _unpacker(answer, where)
    async for part in answer.aiter_raw():
        left = part
        while left:
            plain, left = unpack(left)
            body += plain
            if len(body) > most:
                raise SendFailed(
                    "the answer is larger than allowed",
                    where=where,
                    mend="Raise max_answer, or ask for less.",
                    answer=str(answer.status_code),
                )
    return bytes(body)


def _unpacker(answer: httpx.Response, where: str) -> Callable[[bytes], tuple[bytes, bytes]]:
    """Unpacks a piece at a time: what came out, and what of the packed bytes is left to do."""
    said = answer.headers.get("content-encoding", "identity").strip().lower()
    if said in ("", "identity"):
        return lambda part: (part, b"")
    if said not in _ZLIB:
        raise SendFailed("the answer is packed in a way nobody asked for", where=where, answer=str(answer.status_code))
    packed = zlib.decompressobj(_ZLIB[said])

    def unpack(part: bytes) -> tuple[bytes, bytes]:
        try:
            plain = packed.decompress(part, PIECE)
        except zlib.error as error:
            raise SendFailed("the answer is packed wrongly", where=where, answer=str(answer.status_code)) from error
        return plain, b"" if packed.eof else packed.unconsumed_tail

    return unpack
