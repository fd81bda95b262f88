"""Which characters the bytes of a message are: MSH-18 (HL7 table 0211) against what senders really send."""

from __future__ import annotations

CODECS = {
    "": "utf-8",
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
SHIFTED = {"iso2022_jp", "iso2022_jp_1"}  # plain ASCII bytes with escape sequences between them
WIDE = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
STARTS = {b"M\x00S\x00": "utf-16-le", b"\x00M\x00S": "utf-16-be"}


def decode(raw: bytes, charset: str | None = None) -> tuple[str, str, tuple[str, ...]]:
    """Text, Python codec and notes: the source's own charset, else UTF-8, the declared one, then Latin-1."""
    if charset is None and raw.isascii() and b"\x1b" not in raw and b"\x00" not in raw[:4]:
        return raw.decode("ascii"), "ascii", ()
    wide = WIDE.get(raw[:2]) or STARTS.get(raw[:4])
    declared = _declared(raw) if not wide else ""
    tries = _tries(raw, declared, charset, wide)
    for codec in tries:
        try:
            return raw.decode(codec), codec, _notes(declared, charset, codec)
        except (UnicodeDecodeError, LookupError):
            continue
    return raw.decode("latin-1"), "latin-1", _notes(declared, charset, "latin-1")


def codec_of(name: str) -> str:
    """The Python codec of a name from table 0211 (or Python's own name); empty when nobody knows it."""
    return CODECS.get(name.strip().upper(), "") if name.strip() else ""


def _tries(raw: bytes, declared: str, charset: str | None, wide: str | None) -> list[str]:
    if wide:
        return [wide]
    own = [codec_of(charset) or charset] if charset else []
    stated = codec_of(declared)
    if stated in SHIFTED and b"\x1b" in raw:
        return [*own, stated]
    found = [*own, "utf-8", stated]
    if stated in {"iso8859-1", "ascii", ""}:
        found[-1] = "cp1252" if _windows(raw) else "latin-1"
    return [codec for codec in found if codec and codec not in {"utf-16", "utf-32"}]


def _windows(raw: bytes) -> bool:
    """Bytes 0x80-0x9F are control characters in ISO 8859 and quotes, dashes and the euro in Windows-1252."""
    return any(0x80 <= byte <= 0x9F for byte in raw)


def _declared(raw: bytes) -> str:
    """MSH-18, first repetition, read before the bytes can be decoded."""
    start = raw.upper().find(b"MSH")
    line = raw[start : start + 4096].splitlines()[0].decode("latin-1") if start >= 0 else ""
    fields = line.split(line[3]) if len(line) > 8 else []
    repetition = line[5:6]
    return fields[17].split(repetition)[0].strip() if len(fields) > 17 and repetition else ""


def _notes(declared: str, charset: str | None, codec: str) -> tuple[str, ...]:
    stated = charset or declared
    if not stated:
        return (f"MSH-18 is empty; read as {codec}",) if codec != "utf-8" else ()
    if not codec_of(stated):
        return (f"MSH-18 names a character set that is not in table 0211; read as {codec}",)
    return () if codec_of(stated) == codec else (f"MSH-18 does not fit the bytes; read as {codec}",)
