"""Reads the body of an answer up to a limit, however much is sent (https://www.rfc-editor.org/rfc/rfc9110#section-6.4)."""

from __future__ import annotations

import httpx

from suture.errors import SendFailed


async def exchange(
    client: httpx.AsyncClient, request: httpx.Request, most: int, where: str
) -> tuple[httpx.Response, bytes]:
    """Sends a request; the answer and its whole body. Raises SendFailed past the limit."""
    answer = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > most:
                raise SendFailed(
                    "the answer is larger than allowed",
                    where=where,
                    mend="Raise max_answer, or ask for less.",
                    answer=str(answer.status_code),
                )
    finally:
        await answer.aclose()
    return answer, bytes(body)
