"""What an export came to: https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from suture.clock import instant
from suture.services.bulk import jobs
from suture.store import exports
from suture.store.exports import File, Job


def manifest(server: str, job: Job, files: Sequence[File]) -> dict[str, Any]:
    """The files with their absolute addresses; they need the caller's token."""
    wanted = jobs.asked_of(job)
    return {
        "transactionTime": instant(jobs.moment_of(job, wanted)),
        "request": wanted.url,
        "requiresAccessToken": True,
        **({"outputOrganizedBy": wanted.organized} if wanted.organized else {}),
        "output": _rows(server, job, files, exports.OUTPUT),
        "deleted": _rows(server, job, files, exports.DELETED),
        "error": _rows(server, job, files, exports.ERROR),
    }


def _rows(server: str, job: Job, files: Sequence[File], kind: str) -> list[dict[str, Any]]:
    place = f"{server}/bulk/{job.id}"
    return [
        {**({"type": file.type} if file.type else {}), "url": f"{place}/{name_of(file)}", "count": file.lines}
        for file in files
        if file.kind == kind
    ]


def name_of(file: File) -> str:
    """Its number and type; a file of blocks has none, and one that deletes says so wherever it is kept."""
    return f"{file.n}.{'deleted' if file.kind == exports.DELETED else file.type or 'blocks'}.ndjson"


def number_of(name: str) -> int:
    """The number in a file's name; -1 when there is none."""
    digits = name.partition(".")[0]
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 9 else -1
