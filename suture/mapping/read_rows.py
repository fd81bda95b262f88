"""Reads the rows of a map: which keys there are, what each holds, and that a row has one source, one change, one target (docs/map-language.md)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from suture.errors import InvalidSyntax
from suture.mapping import paths
from suture.mapping.functions import REGISTRY
from suture.mapping.model import MISSING, Call, Expression, Miss, Row, Using
from suture.mapping.sheet import Findings, Items, Sheet, Spot, nearest, plain
from suture.standards.fhir.fhirpath import parser
from suture.standards.hl7v2 import tables as v2

ID = re.compile(r"[a-z][a-z0-9_-]{0,63}")
CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\((.*)\))?", re.DOTALL)
ARGUMENT = re.compile(r"\s*'([^']*)'\s*(?:,|$)|\s*([^',\s][^',]*?)\s*(?:,|$)")
SOURCES = ("from", "each", "set", "concat", "reference", "fail")
CHANGES = ("using", "rows", "as", "translate")
MISSES = ("drop", "keep", "fail")
DEEPEST = 8

# key -> what must stand there
KEYS: dict[str, tuple[type, ...]] = {
    "id": (str,), "from": (str, list), "each": (str,), "where": (str,), "when": (str,), "set": (object,), "concat": (list,),
    "with": (str,), "reference": (str,), "to": (str,), "using": (str, dict), "by": (str,), "rows": (list,), "as": (str, list),
    "translate": (str,), "on_miss": (str, dict), "default": (object,), "fill": (dict,), "once": (bool,), "join": (str,), "note": (str,), "fail": (str,),
}  # fmt: skip
KINDS = {str: "text", list: "a list", dict: "a mapping", bool: "true or false", object: "anything"}
# where a list does not say which of its parts are locations, every datatype and segment is looked for
ROOTS = (*v2.types(), *["ST", "NM", "ID", "IS", "TX", "FT", "SI", "DT", "TM", "DTM", "TS", "GTS"])


def expression(text: str, spot: Spot, findings: Findings) -> Expression | None:
    """The expression in a text; None with a finding when it can't be read."""
    try:
        return Expression(text, parser.parse(text, locations=True, components=ROOTS), spot)
    except InvalidSyntax as error:
        findings.add(spot, f"not an expression: {error.text} ({error.where})", error.mend)
        return None


def keys(sheet: Sheet, allowed: dict[str, tuple[type, ...]], findings: Findings, what: str) -> None:
    """Unknown keys and wrong kinds become findings, and are taken out so that reading can go on."""
    for key in list(sheet):
        kinds = allowed.get(key)
        if kinds is None:
            findings.add(sheet.at(key), f"{what} has no key '{key}'", nearest(key, allowed))
        elif object in kinds or (isinstance(sheet[key], kinds) and not _false_number(sheet[key], kinds)):
            continue
        else:
            expected = " or ".join(KINDS.get(kind, kind.__name__) for kind in kinds)
            findings.add(sheet.value_at(key), f"'{key}' must be {expected}", _quote(sheet[key], kinds))
        sheet.drop(key)


def _false_number(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, bool) and bool not in kinds


def _quote(value: Any, kinds: tuple[type, ...]) -> str:
    return f"Put it into quotes: '{value}'" if str in kinds and isinstance(value, int | float | bool) else ""


def rows(items: Any, findings: Findings, depth: int = 0) -> list[Row]:
    """The rows of a list; what is wrong with a row leaves it out and is found."""
    made: list[Row] = []
    seen: dict[str, Spot] = {}
    for number, sheet in enumerate(items):
        if not isinstance(sheet, Sheet):
            findings.add(items.spots[number], "a row is a mapping", "Write {id: …, from: …, to: …}.")
            continue
        row = _row(sheet.copy(), findings, depth)
        if row is None:
            continue
        if row.id in seen:
            findings.add(sheet.value_at("id"), f"a second row '{row.id}'", "Give each row an id of its own.")
        seen[row.id] = sheet.spot
        made.append(row)
    return made


def _row(sheet: Sheet, findings: Findings, depth: int) -> Row | None:
    keys(sheet, KEYS, findings, "a row")
    before = len(findings.errors)
    row_id = _id(sheet, findings)
    sources = [key for key in SOURCES if key in sheet]
    if len(sources) != 1:
        text = "has no source" if not sources else f"has two sources: {', '.join(sources)}"
        findings.add(sheet.spot, f"row '{row_id}' {text}", f"One of: {', '.join(SOURCES)}.")
    path = _path(sheet, findings)
    row = Row(row_id, sheet, path)
    _sources(row, findings)
    _changes(row, findings, depth)
    _extras(row, findings)
    return row if len(findings.errors) == before else None


def _id(sheet: Sheet, findings: Findings) -> str:
    found = str(sheet.get("id", ""))
    if not ID.fullmatch(found):
        text = "a row needs an id" if not found else "an id is small letters, digits, - and _"
        findings.add(sheet.value_at("id"), text, "Write {id: birth-date, …}.")
    return found


def _path(sheet: Sheet, findings: Findings) -> paths.Path:
    if "fail" in sheet:
        _only_a_condition(sheet, findings)
        return paths.THIS
    if "to" not in sheet:
        findings.add(sheet.spot, "the row has no target", "Write to: with the element, such as birthDate.")
        return paths.THIS
    try:
        return paths.read(sheet["to"])
    except InvalidSyntax as error:
        findings.add(sheet.value_at("to"), error.text, error.mend)
        return paths.THIS


def _only_a_condition(sheet: Sheet, findings: Findings) -> None:
    if "when" not in sheet:
        findings.add(sheet.at("fail"), "'fail' without 'when' would fail always", "Say when: with the condition.")
    for key in sheet:
        if key not in ("id", "when", "fail", "note"):
            findings.add(sheet.at(key), f"'{key}' has no use beside 'fail'", "Take it away.")


def _one(sheet: Sheet, key: str, findings: Findings) -> Expression | None:
    return expression(sheet[key], sheet.value_at(key), findings) if key in sheet else None


def _many(sheet: Sheet, key: str, findings: Findings) -> tuple[Expression, ...]:
    value = sheet.get(key, [])
    if isinstance(value, str):
        found = [_one(sheet, key, findings)]
    else:
        found = []
        for number, item in enumerate(value):
            if isinstance(item, str):
                found.append(expression(item, value.spots[number], findings))
            else:
                findings.add(value.spots[number], f"an item of '{key}' is text", "Write a location such as PID-3.1.")
        if not value and key in sheet:
            findings.add(sheet.value_at(key), f"'{key}' is empty")
    return tuple(e for e in found if e is not None)


def _sources(row: Row, findings: Findings) -> None:
    sheet = row.sheet
    row.each = _one(sheet, "each", findings)
    row.source = _many(sheet, "from", findings)
    row.concat = _many(sheet, "concat", findings)
    row.joiner = str(sheet.get("with", " "))
    row.reference = str(sheet.get("reference", ""))
    row.fail = str(sheet.get("fail", ""))
    row.where = _one(sheet, "where", findings)
    row.when = _one(sheet, "when", findings)
    if "set" in sheet:
        row.set = plain(sheet["set"])
        if row.set is None:
            findings.add(sheet.value_at("set"), "'set' has no value")
    if row.where and not (row.each or row.source):
        findings.add(sheet.at("where"), "'where' needs 'each' or 'from'", "For the whole row write 'when'.")
    if "with" in sheet and not row.concat:
        findings.add(sheet.at("with"), "'with' belongs to 'concat'")


def _changes(row: Row, findings: Findings, depth: int) -> None:
    sheet = row.sheet
    together = [key for key in CHANGES if key in sheet]
    if len(together) > 1 and together not in (["using", "translate"], ["as", "translate"]):
        findings.add(sheet.at(together[1]), f"two changes in one row: {', '.join(together)}", "Leave one of them out.")
    if row.reference and together:
        findings.add(sheet.at(together[0]), f"a reference is not changed by '{together[0]}'")
    if row.set is not MISSING and together:
        findings.add(sheet.at(together[0]), f"a constant is not changed by '{together[0]}'", "Write what it becomes.")
    row.using = _using(sheet, findings)
    row.calls = _calls(sheet, findings)
    row.table, _, row.column = str(sheet.get("translate", "")).partition(".")
    if "rows" in sheet:
        if depth >= DEEPEST:
            findings.add(sheet.at("rows"), "rows inside rows, too deep", "Make it a map of its own and say using:.")
        else:
            row.rows = rows(sheet["rows"], findings, depth + 1)


def _using(sheet: Sheet, findings: Findings) -> Using | None:
    using = sheet.get("using")
    if using is None:
        if "by" in sheet:
            findings.add(sheet.at("by"), "'by' belongs to 'using'")
        return None
    if isinstance(using, str):
        return Using({"": using})
    by = _one(sheet, "by", findings)
    wrong = [key for key, name in using.items() if not isinstance(name, str)]
    if by is None or wrong or not using:
        findings.add(sheet.at("using"), "several maps need 'by'", "Write using: {NM: NM-Quantity, CE: CWE}, by: OBX-2.")
        return None
    return Using(dict(using), by)


def _calls(sheet: Sheet, findings: Findings) -> tuple[Call, ...]:
    value = sheet.get("as")
    if value is None:
        return ()
    items = [value] if isinstance(value, str) else value
    spots = [sheet.value_at("as")] if isinstance(value, str) else value.spots
    made = [call(item, spot, findings) for item, spot in zip(items, spots, strict=True)]
    return tuple(c for c in made if c is not None)


def call(text: Any, spot: Spot, findings: Findings) -> Call | None:
    """A function with its arguments: `date`, `e164('GB')`."""
    found = CALL.fullmatch(text.strip()) if isinstance(text, str) else None
    if not found:
        findings.add(spot, "not a function", "Write as: date or as: \"e164('GB')\".")
        return None
    f = REGISTRY.get(found[1])
    if f is None:
        findings.add(spot, f"there is no function '{found[1]}'", nearest(found[1], REGISTRY))
        return None
    arguments = tuple(a or b for a, b in ARGUMENT.findall(found[2] or ""))
    if not f.least <= len(arguments) <= f.most:
        findings.add(spot, f"'{f.name}' takes {f.least} to {f.most} arguments, here are {len(arguments)}", f.help)
        return None
    return Call(f.name, arguments)


def _extras(row: Row, findings: Findings) -> None:
    sheet = row.sheet
    row.once = bool(sheet.get("once", False))
    row.join = sheet.get("join")
    row.fill = plain(sheet.get("fill", {}))
    if "default" in sheet:
        row.default = plain(sheet["default"])
    if "on_miss" in sheet:
        row.miss = _miss(sheet, findings)
        if not (row.table or row.calls):
            findings.warn(sheet.at("on_miss"), "'on_miss' without 'translate' or 'as' says nothing", "Take it away.")


def _miss(sheet: Sheet, findings: Findings) -> Miss:
    value = sheet["on_miss"]
    if isinstance(value, str):
        if value in MISSES:
            return Miss(value)
        findings.add(
            sheet.value_at("on_miss"), f"'{value}' is nothing a miss can do", nearest(value, [*MISSES, "{use: …}"])
        )
        return Miss()
    keys(value, {"do": (str,), "use": (object,), "warn": (bool,)}, findings, "on_miss")
    warn = bool(value.get("warn", True))
    if "use" in value:
        return Miss("use", plain(value["use"]), warn)
    how = str(value.get("do", "drop"))
    if how not in MISSES:
        findings.add(value.value_at("do"), f"'{how}' is nothing a miss can do", nearest(how, MISSES))
        return Miss(warn=warn)
    return Miss(how, warn=warn)


Reader = Callable[[Any, Findings], list[Row]]
__all__ = ["CALL", "ID", "Items", "call", "expression", "keys", "rows"]
