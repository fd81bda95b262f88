"""Compiles a map to Python and runs it: value, what the writer needs, what was lost, where everything came from (docs/map-language.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from suture.errors import InvalidMessage, Unmapped
from suture.mapping import engine, generate, generate_messages, lineage, runtime, targets
from suture.mapping.context import Context
from suture.mapping.functions import REGISTRY, Doubt, number_text
from suture.mapping.generate_lines import Unit
from suture.mapping.lineage import Lineage, Warned
from suture.mapping.loss import Unread
from suture.mapping.model import Map
from suture.mapping.runtime import BLANKS, NOTHING, NULL, OPEN, Run
from suture.mapping.segments import fields
from suture.mapping.walk import Stage, Walker
from suture.standards.fhir.fhirpath import regex
from suture.standards.hl7v2 import message as v2_message
from suture.standards.hl7v2 import structure
from suture.standards.hl7v2.escapes import STANDARD, Separators
from suture.standards.hl7v2.message import Message, Segment


@dataclass(slots=True)
class Result:
    """What a run made. `value` is None when no row wrote anything."""

    value: Any
    merges: dict[str, dict[str, Any]]  # fullUrl -> {deletes, snapshot, keep}
    trace: list[int]  # compact; lineage and warnings are told from it
    unread: list[str]  # fields that no row read
    compiled: Compiled = field(repr=False)
    doubts: dict[int, str] = field(default_factory=dict, repr=False)
    lost: bool = False  # whether parts of datatypes are unread, too
    told: Told | None = field(default=None, repr=False)

    @property
    def lineage(self) -> list[Lineage]:
        """Which target came from which source by which row."""
        return self._told()[0]

    @property
    def warnings(self) -> list[Warned]:
        """What somebody should look at: place, row and kind, never a value."""
        return self._told()[1]

    @property
    def loss(self) -> list[str]:
        """Places of the source that hold something and that no row read."""
        return self.unread + self._told()[2] if self.lost else self.unread

    def _told(self) -> Told:
        """The trace in words, told once."""
        if self.told is None:
            self.told = lineage.tell(self.trace, self.compiled.unit.sites, self.compiled.prefix, self.doubts)
        return self.told


Told = tuple[list[Lineage], list[Warned], list[str]]


class Variant:
    """The Python of a map; one for messages with escape sequences, one (faster) for those without."""

    def __init__(self, made: Map, *, escapes: bool) -> None:
        self.unit = Unit(escapes=escapes)
        namespace = {**NAMESPACE, **{f"F_{f.name}": f.work for f in REGISTRY.values()}}
        if made.kind == "message":
            written = generate_messages.write(self.unit, made)
            name = written.rows
        else:
            generate_messages.specify(self.unit, made)
            name = generate.function(self.unit, made)
        self.text = "\n".join(self.unit.lines)
        namespace |= self.unit.constants
        exec(compile_source(self.text, made.name), namespace)  # noqa: S102 - our own generated source
        self.function: Any = namespace[name] if name else None  # of a message map: the rows of the Bundle itself
        self.stage = generate_messages.bind(written, namespace) if made.kind == "message" else Stage("")


class Compiled:
    """A map, ready to run."""

    def __init__(self, made: Map) -> None:
        self.map = made
        self.plain = Variant(made, escapes=False)
        self.unit = self.plain.unit
        self.unread = Unread(made, self.unit)
        self.prefix = "Bundle" if made.kind == "message" else "" if made.target == "json" else made.target
        self._escaped: Variant | None = None

    @property
    def text(self) -> str:
        """The Python."""
        return self.escaped.text

    @property
    def escaped(self) -> Variant:
        if self._escaped is None:
            self._escaped = Variant(self.map, escapes=True)
        return self._escaped

    def variant(self, text: str) -> Variant:
        return self.escaped if "\\" in text or NULL in text else self.plain

    def run(self, content: Any, context: Context | None = None) -> Result:
        """Maps a message (or segment, text of a datatype, JSON); raises Unmapped when the source has not what the map needs."""
        run = Run(context or Context())
        kind = self.map.kind
        if kind == "message":
            return self._message(_message(content), run)
        if kind == "segment":
            return self._segment(content, run)
        if kind == "datatype":
            text = str(content)
            value = self.variant(text).function((text + "^" * 30).split("^"), run, run.trace.append)
            return self._result(value, {}, [], run)
        run.root = content
        value = self.plain.function(content, run, run.trace.append)
        return self._result(value, {}, self.unread.json(content), run)

    def _result(self, value: Any, merges: dict[str, dict[str, Any]], unread: list[str], run: Run) -> Result:
        return Result(value, merges, run.trace, unread, self, run.doubts, run.lost)

    def _segment(self, content: Any, run: Run) -> Result:
        name = self.map.source_name
        widths = self.unit.widths
        if isinstance(content, Segment):
            segment, text = content, content.text
        else:
            message = _message(content)
            found = message.segment(name)
            if found is None:
                raise Unmapped(
                    f"the message has no {name}", where=name, mend=f"'{self.map.name}' maps a {name} segment."
                )
            segment, text = found, message.text
            if any(other != name for other in widths):
                run.segments = {n: [fields(s, widths[n]) for s in message.all(n)] for n in widths}
                run.scope = {n: all_[0] for n, all_ in run.segments.items() if all_}
        cut = fields(segment, widths.get(name, 0))
        made: dict[str, Any] = {"resourceType": self.map.target} if targets.is_resource(self.map.target) else {}
        run.host = made
        self._chosen(text, segment.separators).function(cut, run, run.trace.append, made)
        merges = {"": {"deletes": run.deletes, "snapshot": [], "keep": []}} if run.deletes else {}
        return self._result(made, merges, self.unread.segment(name, cut), run)

    def _chosen(self, text: str, separators: Separators) -> Variant:
        """MSH-2 always holds the escape character; it is no escape sequence there."""
        usual = separators[:5] == STANDARD[:5]
        head = text.find(separators.field, 4) if text[:3] == "MSH" else 0
        return self.plain if usual and text.find("\\", max(head, 0)) < 0 and NULL not in text else self.escaped

    def _message(self, message: Message, run: Run) -> Result:
        group = structure.groups(message, self.map.source_name)
        walker = Walker(run, self.unit.widths)
        walker.read(group)
        variant = self._chosen(message.text, message.separators)
        header = walker.segments["MSH"][0]
        run.key = "|".join([run.context.source.id, header[3], header[4], header[10]] if len(header) > 10 else header)
        run.bundle = []
        walker.walk(variant.stage, group, {})
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": self.map.bundle}
        if variant.function is not None:
            run.scope = {name: found[0] for name, found in walker.segments.items()}
            variant.function(run, run.trace.append, bundle)
        if self.map.bundle not in ("transaction", "batch"):
            run.bundle = [{k: v for k, v in entry.items() if k != "request"} for entry in run.bundle]
        bundle["entry"] = run.bundle
        return self._result(bundle, run.merges, self.unread.message(walker.segments), run)


def compile(made: Map) -> Compiled:
    """The map, ready to run."""
    return Compiled(made)


def compile_source(text: str, name: str) -> Any:
    return _builtin_compile(text, f"<map {name}>", "exec")


def _message(content: Any) -> Message:
    if isinstance(content, Message):
        return content
    if isinstance(content, bytes | str):
        return v2_message.parse(content)
    raise InvalidMessage("not an HL7 v2 message", where="MSH", mend="Give the map a parsed message or its bytes.")


# --- what generated code calls


def present(text: str) -> str:
    return "" if text == NULL else text


def apply(work: Any, text: str, run: Run, *arguments: str) -> Any:
    if text in NOTHING:
        return ""
    found = work(text, run.context.source, *arguments)
    return found.value if isinstance(found, Doubt) else "" if found is None else number_text(found)


def join(joiner: str, *parts: Any) -> str:
    """What is not empty, joined; quoted texts (tuples) alone are nothing."""
    texts: list[str] = []
    there = False
    for part in parts:
        if part.__class__ is tuple:
            texts.append(part[0])
        elif part and part != NULL:
            there = True
            texts.append(number_text(part))
    return joiner.join(text for text in texts if text) if there else ""


def text_of(value: Any) -> str | None:
    """A JSON scalar as text; None for what is no scalar."""
    return None if value is None or isinstance(value, dict | list) else number_text(value)


def first(items: list[Any]) -> Any:
    return items[0] if items else None


def either(*found: Any) -> Any:
    return next((value for value in found if value is not None and value != ""), None)


def matches(text: str, pattern: str) -> bool:
    return bool(text) and regex.search(text, pattern)


def equal(found: list[Any], wanted: Any) -> bool | None:
    return None if not found else len(found) == 1 and found[0] == wanted


def nth_field(run: Run, name: str, number: int, field_: int) -> str:
    found = run.segments.get(name, ())
    if number > len(found) or field_ >= len(found[number - 1]):
        return ""
    return found[number - 1][field_]


_builtin_compile = __builtins__["compile"] if isinstance(__builtins__, Mapping) else __builtins__.compile

NAMESPACE: dict[str, Any] = {
    "BLANKS": BLANKS, "NULL": NULL, "NOTHING": NOTHING, "OPEN": OPEN, "NO_LABELS": {}, "UNESCAPE": runtime.unescape, "VALUES": runtime.values,
    "REP": runtime.repetition, "SUB": runtime.nth, "NTH": nth_field, "SAME": runtime.same, "AMONG": runtime.among,
    "EQUAL": equal, "WALK": runtime.walk, "WALK_FHIR": runtime.walk_fhir, "FIRST": first, "EITHER": either, "PRESENT": present, "APPLY": apply, "TEXT": text_of,
    "MATCHES": matches, "JOIN": join, "EXTENSION": runtime.extension, "RECODE": runtime.recode, "FAIL": runtime.fail, "REFUSE": runtime.refuse,
    "DOUBT": Doubt, "HOLDS": engine.holds, "FIRST_OF": engine.first, "ALL_OF": engine.everything, "Decimal": Decimal,
}  # fmt: skip
