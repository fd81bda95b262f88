"""How a source, step or connector declares its fields once; lint, defaults and docs all come from it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any

from suture import yaml
from suture.errors import Invalid, Problems

DURATION = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*$")
SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB|kB|MB|GB)?\s*$")
SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
BYTES = {None: 1, "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_KINDS: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "duration": (str, int, float),
    "size": (str, int),
    "expression": (str,),
    "template": (str,),
    "secret": (str,),
    "connection": (str,),
    "map": (str,),
    "profile": (str,),
    "list": (list,),
    "object": (dict,),
    "value": (str, dict),  # an expression, or a structure whose texts are templates
    "any": (object,),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One setting of a component: its name, kind (a key of the kinds table), help and default."""

    name: str
    kind: str
    help: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Component:
    """What a user may write under `with:` for `uses: NAME`."""

    name: str
    role: str  # source | step | connection
    title: str
    help: str
    fields: tuple[Field, ...]
    example: str

    def field(self, name: str) -> Field | None:
        return next((f for f in self.fields if f.name == name), None)


def seconds(value: str | int | float) -> float:
    """A duration (`5m`, `250ms`, or a number of seconds) in seconds; raises ValueError."""
    if isinstance(value, int | float):
        return float(value)
    found = DURATION.match(value)
    if not found:
        raise ValueError(f"'{value}' is not a duration; write 250ms, 30s, 5m, 2h or 30d")
    return float(found[1]) * SECONDS[found[2]]


def moment(text: str, now: int) -> int:
    """A time somebody wrote, in microseconds: `2026-11-25`, `2026-11-25T08:00`, or how long ago (`2h`); '' is 0."""
    if not text:
        return 0
    try:
        return now - int(seconds(text) * 1_000_000)
    except ValueError:
        pass
    try:
        written = datetime.fromisoformat(text)
        return int((written if written.tzinfo else written.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise Invalid("this is not a time", where="time", mend="Write 2h, 2026-11-25 or 2026-11-25T08:00.") from None


def size(value: str | int) -> int:
    """A size (`64MiB`) in bytes; raises ValueError."""
    if isinstance(value, int):
        return value
    found = SIZE.match(value)
    if not found:
        raise ValueError(f"'{value}' is not a size; write 512KiB, 64MiB or 2GiB")
    return int(float(found[1]) * BYTES[found[2]])


def read(component: Component, values: Mapping[str, Any], problems: Problems) -> dict[str, Any]:
    """The values with defaults filled in; every finding (unknown, missing, wrong kind) goes to `problems`."""
    for name in values:
        if component.field(str(name)) is None:
            problems.add(yaml.at(values, name), *_refused(str(name), component))
    return {f.name: _value(component, f, values, problems) for f in component.fields}


def _value(component: Component, f: Field, values: Mapping[str, Any], problems: Problems) -> Any:
    if f.name not in values or values[f.name] is None:
        if f.required:
            problems.add(
                yaml.at(values), f"'{component.name}' needs '{f.name}': {f.help}", f"Example: {component.example}"
            )
        return f.default
    value = values[f.name]
    wrong = _wrong(f, value)
    if wrong:
        problems.add(yaml.value_at(values, f.name), f"'{f.name}' {wrong}", f"Example: {component.example}")
        return f.default
    return value


def _wrong(f: Field, value: Any) -> str:
    """What is wrong with a value of this field, or nothing."""
    if f.kind != "boolean" and isinstance(value, bool) and f.kind != "any":
        return f"must be {_article(f.kind)} {f.kind}, not true or false"
    if not isinstance(value, _KINDS[f.kind]):
        return f"must be {_article(f.kind)} {f.kind}"
    if f.choices and value not in f.choices:
        return f"must be one of {', '.join(f.choices)}"
    try:
        _check_unit(f.kind, value)
    except ValueError as error:
        return f"is wrong: {error}"
    return ""


def _article(noun: str) -> str:
    return "an" if noun[0] in "aeiou" else "a"


def _check_unit(kind: str, value: Any) -> None:
    if kind == "duration":
        seconds(value)
    elif kind == "size":
        size(value)


def _refused(name: str, component: Component) -> tuple[str, str]:
    """Why a field is not taken, and what to do."""
    return f"'{component.name}' has no field '{name}'", _nearest(name, component)


def _nearest(name: str, component: Component) -> str:
    names = [f.name for f in component.fields]
    close = get_close_matches(name, names, 1)
    return f"Did you mean '{close[0]}'?" if close else f"It knows: {', '.join(names) or 'no fields'}."


def reference(components: Sequence[Component]) -> str:
    """The components as a Markdown reference, for docs/."""
    parts: list[str] = []
    for c in components:
        parts.append(f"### `{c.name}`\n\n{c.help}\n\n| field | kind | default | meaning |\n|---|---|---|---|")
        parts += [
            f"| `{f.name}`{' (required)' if f.required else ''} | {f.kind} | {'' if f.default is None else f'`{f.default}`'} | {f.help} |"
            for f in c.fields
        ]
        parts.append(f"\n```yaml\n{c.example}\n```\n")
    return "\n".join(parts)
