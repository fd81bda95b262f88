"""Keys and secrets: the key file, envelope encryption, random tokens and their hashes.

Envelope: the key file holds one 32-byte key that only wraps other keys (AES-256-GCM, NIST SP 800-38D).
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from suture.clock import SYSTEM, stamp
from suture.errors import Unstartable

KEY_BYTES = 32
_HEADER = "suture-key/1 "


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def new_token() -> str:
    """256 random bits for a URL or a header."""
    return secrets.token_urlsafe(32)


def token_hash(token: str) -> bytes:
    """What is kept of a token; tokens carry 256 random bits, so one SHA-256 is enough."""
    return hashlib.sha256(token.encode()).digest()


def derive(key: bytes, purpose: str) -> bytes:
    """A key for one purpose only, made of another (HKDF, RFC 5869); it says nothing about its origin."""
    return HKDF(SHA256(), KEY_BYTES, None, purpose.encode()).derive(key)


def seal(key: bytes, plain: bytes, context: bytes) -> bytes:
    """`plain` encrypted and bound to `context` (where it belongs); another context will not open it."""
    nonce = secrets.token_bytes(12)
    return nonce + _cipher(key).encrypt(nonce, plain, context)


@lru_cache(8)  # making one takes longer than opening a short text with it
def _cipher(key: bytes) -> AESGCM:
    return AESGCM(key)


def unseal(key: bytes, sealed: bytes, context: bytes) -> bytes:
    """The plain bytes; raises Unstartable when key, bytes or context are not those of seal()."""
    return opener(key, context)(sealed)


def opener(key: bytes, context: bytes) -> Callable[[bytes], bytes]:
    """`unseal` for many."""
    decrypt = _cipher(key).decrypt

    def opened(sealed: bytes) -> bytes:
        try:
            return decrypt(sealed[:12], sealed[12:], context)
        except (InvalidTag, ValueError) as error:
            raise Unstartable(
                "this key does not open what was sealed",
                mend="Set SUTURE_KEY_FILE to the key file that belongs to this database.",
            ) from error

    return opened


def create_key_file(path: Path) -> bytes:
    """Writes a new key file (mode 600) and syncs it to disk; refuses to replace one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = new_key()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(key_text(key))
        file.flush()
        os.fsync(file.fileno())
    return key


def unfinished(path: Path) -> Path:
    """Where the next key stands until it takes the key file's place."""
    return path.with_name(path.name + ".new")


def exchange_key_file(path: Path) -> Path:
    """The next key takes the place of the key file; returns where the old one is kept."""
    old = path.with_name(f"{path.name}.before-{stamp(SYSTEM.micros())}")
    path.replace(old)
    unfinished(path).replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return old


def read_key_file(path: Path) -> bytes:
    """The key; raises Unstartable with the mend when it is missing, readable by others or not a key."""
    if not path.exists():
        raise Unstartable(
            f"no key file at {path}", mend="Set SUTURE_KEY_FILE to the key that belongs to this database."
        )
    if path.stat().st_mode & 0o077:
        raise Unstartable(f"others may read the key file {path}", mend=f"Run: chmod 600 {path}")
    return parse_key(path.read_text(encoding="ascii", errors="replace"), str(path))


def key_text(key: bytes) -> str:
    """What a key file holds."""
    return _HEADER + base64.b64encode(key).decode() + "\n"


def parse_key(text: str, where: str) -> bytes:
    """The key of a key file's text; raises Unstartable when it is none."""
    text = text.strip()
    try:
        key = base64.b64decode(text.removeprefix(_HEADER), validate=True)
    except ValueError:
        key = b""
    if not text.startswith(_HEADER) or len(key) != KEY_BYTES:
        raise Unstartable(f"{where} is not a Suture key file", mend="Restore it from where you keep your keys.")
    return key
