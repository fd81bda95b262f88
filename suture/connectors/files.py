"""Writes files into a folder so that no reader ever sees half a file and no name leads out of the folder."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path

from suture.connectors.connection import Connection
from suture.errors import Invalid, SendFailed, SendUnavailable

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\:*?\"<>|]")
LONGEST_NAME = 200


class FileSender:
    """One folder; the same name is written over, so that a repeated attempt leaves one file."""

    def __init__(self, connection: Connection, project: Path) -> None:
        self.connection = connection
        self.folder = (project / str(connection.with_["folder"])).resolve()

    async def send(self, name: str, content: bytes) -> str:
        """The path below the folder that now holds the content, synced to disk."""
        target = self.path(name)
        try:
            await asyncio.to_thread(_write, target, content)
        except OSError as error:
            place = self.connection.id
            if isinstance(error, PermissionError | FileExistsError | NotADirectoryError | IsADirectoryError):
                raise SendFailed(
                    f"cannot write there ({error.strerror})",
                    where=place,
                    mend="Check the folder's owner and rights; then replay.",
                ) from error
            raise SendUnavailable(
                f"cannot write there ({error.strerror})", where=place, mend="Check disk space."
            ) from error
        return str(target.relative_to(self.folder))

    def path(self, name: str) -> Path:
        """Where a name leads; raises Invalid when that is outside the folder or hidden."""
        parts = name.split("/")
        if (
            not name
            or len(name) > LONGEST_NAME
            or _FORBIDDEN.search(name)
            or any(p in ("", "..") or p.startswith(".") for p in parts)
        ):
            raise Invalid(
                "this file name is not allowed",
                where=f"{self.connection.id}: name",
                mend="Use letters, digits, '-', '_' and '.', below the folder, not beginning with '.'.",
            )
        target = self.folder.joinpath(*parts)
        if not target.parent.resolve().is_relative_to(self.folder):
            raise Invalid(
                "this file name leads out of the folder",
                where=f"{self.connection.id}: name",
                mend="Remove the symbolic link.",
            )
        return target

    async def close(self) -> None:
        """Nothing is kept open."""


def _write(target: Path, content: bytes) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name(f".{target.name}.part")
    handle = os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o640)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    half.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
