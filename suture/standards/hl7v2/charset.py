"""Which characters the bytes of a message are: MSH-18 (HL7 table 0211) against what senders really send."""

from __future__ import annotations

CODECS = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "UNICODE UTF-16": "utf-16",
    "UNICODE UTF-32": "utf-32",
    **{f"8859/{n}": f"iso8859-{n}" for n in range(1, 17) if n != 12},
    **{f"ISO-8859-{n}": f"iso8859-{n}" for n in range(1, 17) if n != 12},
    **{f"ISO8859-{n}": f"iso8859-{n}" for n in range(1, 17) if n != 12},
    **{f"WINDOWS-{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"CP{n}": f"cp{n}" for n in range(1250, 1259)},
    "ISO IR6": "ascii",
    "ISO IR14": "iso2022_jp",
    "ISO IR87": "iso2022_jp",
    "ISO IR159": "iso2022_jp_1",
    "JAS2020": "iso2022_jp",
    "JIS X 0202": "iso2022_jp",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "CNS 11643-1992": "euc_tw",
    "BIG-5": "big5",
    "SHIFT_JIS": "shift_jis",
}
NAMES = {"utf-8": "UNICODE UTF-8", "ascii": "ASCII", **{f"iso8859-{n}": f"8859/{n}" for n in range(1, 17) if n != 12}}
CONTROLS = bytes(range(0x80, 0xA0))  # control characters in ISO 8859; quotes, dashes and the euro in Windows-1252
LATIN = {"latin-1", "iso8859-1"}
SHIFTED = {"iso2022_jp", "iso2022_jp_1"}  # plain ASCII bytes with escape sequences between them
WIDE = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
STARTS = {b"M\x00S\x00": "utf-16-le", b"\x00M\x00S": "utf-16-be"}


def decode(raw: bytes, charset: str | None = None) -> tuple[str, str, tuple[str, ...]]:
    """Text, Python codec and notes: UTF-8 when it is, else what MSH-18 (or else the source) states, else Latin-1.

    `charset` is the source's own, for messages whose MSH-18 is empty: a name of table 0211 or Python's.
    """
    if raw.isascii() and b"\x1b" not in raw and b"\x00" not in raw[:4]:
        return raw.decode("ascii"), "ascii", ()
    wide = WIDE.get(raw[:2]) or STARTS.get(raw[:4])
    stated = "" if wide else _declared(raw) or charset or ""
    expected = codec_of(stated) or (stated.lower() if stated == charset else "")
    for codec in [wide] if wide else _tries(raw, expected):
        try:
            return raw.decode(codec), codec, _notes(stated, expected, codec)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1"), "latin-1", _notes(stated, expected, "latin-1")


def codec_of(name: str) -> str:
    """The Python codec of a name from table 0211; empty when it is not in it (a message may not name just any codec)."""
    return CODECS.get(name.strip().upper(), "")


def _tries(raw: bytes, codec: str) -> list[str]:
    if codec in SHIFTED and b"\x1b" in raw:
        return [codec]
    if codec in LATIN or codec in {"ascii", ""}:
        codec = "cp1252" if len(raw.translate(None, CONTROLS)) < len(raw) else "latin-1"
    return ["utf-8", codec] if codec not in {"utf-16", "utf-32"} else ["utf-8"]


def _declared(raw: bytes) -> str:
    """MSH-18, first repetition, read before the bytes can be decoded."""
    head = raw[:4096]
    start = head.upper().find(b"MSH")
    line = head[start:].splitlines()[0].decode("latin-1") if start >= 0 else ""
    fields = line.split(line[3]) if len(line) > 8 else []
    repetition = line[5:6]
    return fields[17].split(repetition)[0].strip() if len(fields) > 17 and repetition else ""


def _notes(stated: str, expected: str, codec: str) -> tuple[str, ...]:
    if not stated:
        return (f"MSH-18 is empty; read as {codec}",) if codec != "utf-8" else ()
    if expected == codec or {expected, codec} <= LATIN:
        return ()
    return (f"the bytes are not what MSH-18 (or the source) states; read as {codec}",)
