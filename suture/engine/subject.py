"""What a run works on: the message with its original read once, in whatever form its kind has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from suture.clock import instant
from suture.errors import InvalidMessage
from suture.message import Message
from suture.standards.fhir import json
from suture.standards.hl7v2 import message as hl7v2

HL7V2, JSON, FHIR = "hl7v2", "json", "fhir"


class Subject:
    """One message and its original, parsed when somebody first asks."""

    __slots__ = ("_parsed", "charset", "message")

    def __init__(self, message: Message, charset: str | None = None, parsed: Any = None) -> None:
        self.message = message
        self.charset = charset
        self._parsed = parsed

    @property
    def original(self) -> Any:
        """An hl7v2.Message or a JSON object; raises Invalid when the bytes are neither."""
        if self._parsed is None:
            self._parsed = parse(self.message.kind, self.message.original, self.charset)
        return self._parsed

    def locate(self, place: str) -> list[str]:
        """The texts at an HL7 v2 location of the original; none when it is no HL7 v2 message."""
        original = self.original
        return original.values(place) if isinstance(original, hl7v2.Message) else []

    def root(self, content: Any) -> Mapping[str, Any]:
        """The root `message`."""
        m = self.message
        return {
            "id": m.id,
            "time": instant(m.received),
            "source": m.source,
            "type": m.type,
            "control_id": m.control_id,
            "patients": list(m.patients),
            "content": focus(content),
        }

    @property
    def received(self) -> datetime:
        return datetime.fromtimestamp(self.message.received / 1_000_000, UTC)


def parse(kind: str, original: bytes, charset: str | None = None) -> Any:
    if kind == HL7V2:
        return hl7v2.parse(original, charset=charset)
    return json.read(original)


def focus(content: Any) -> Any:
    """What FHIRPath sees of a content: HL7 v2 is reached by its locations only."""
    return {} if content is None or isinstance(content, hl7v2.Message) else content


def as_bytes(content: Any) -> bytes:
    """A content as it is sent: HL7 v2 byte for byte, text as UTF-8, everything else as JSON."""
    if isinstance(content, hl7v2.Message):
        return content.encode()
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    return json.write(content)


def as_hl7(content: Any, where: str) -> hl7v2.Message:
    if isinstance(content, hl7v2.Message):
        return content
    if isinstance(content, str | bytes):
        return hl7v2.parse(content)
    raise InvalidMessage(
        "the content is no HL7 v2 message", where=where, mend="Name what to send under from:, or map to HL7 v2 first."
    )
