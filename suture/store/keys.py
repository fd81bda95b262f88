"""Where the key comes from that opens the envelope: the key file, or a command of a key service (KMS, HSM, vault).

A command prints what a key file holds; the key is then on no disk of this machine. NIST SP 800-57 part 1, section 6.
"""

from __future__ import annotations

import shlex
import subprocess

from suture import crypto
from suture.errors import Unstartable
from suture.settings import Settings

SECONDS = 30.0
_MEND = "Run it yourself as this user: it must print a line that begins with 'suture-key/1 ' and end with 0."
_fetched: dict[str, bytes] = {}  # asked once a process: whoever has the process has its keys


def command_of(settings: Settings) -> str:
    """The command that prints the key; empty when it stands in the key file."""
    return str(settings["key_command"])


def read(settings: Settings) -> bytes:
    """The key; raises Unstartable with the mend when it can't be had."""
    command = command_of(settings)
    if not command:
        return crypto.read_key_file(settings.key_file)
    if command not in _fetched:
        _fetched[command] = printed(command)
    return _fetched[command]


def first(settings: Settings, notices: list[str]) -> bytes:
    """The key for a new database; the key file is made if there is none, and the notices say so."""
    key_file = settings.key_file
    if command_of(settings) or key_file.exists():
        return read(settings)
    notices.append(
        f"Created the key file {key_file} (mode 600). Without it nobody can read the database, a backup "
        "included: keep a copy of it in a safe place, apart from the backups."
    )
    return crypto.create_key_file(key_file)


def printed(command: str) -> bytes:
    """The key a command prints. No shell; what it prints is shown nowhere."""
    try:
        words = shlex.split(command)
        done = subprocess.run(words, capture_output=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise Unstartable(
            f"the key command can't be run ({type(error).__name__})", where="key_command", mend=_MEND
        ) from error
    if done.returncode:
        raise Unstartable(f"the key command ended with {done.returncode}", where="key_command", mend=_MEND)
    return crypto.parse_key(done.stdout.decode("ascii", "replace"), "what the key command prints")
