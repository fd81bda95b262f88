"""The functions and the shipped maps as Markdown tables, for docs/ (what is said there is what the code holds)."""

from __future__ import annotations

from typing import Any

from suture.mapping.functions import REGISTRY, Function
from suture.mapping.library import Library
from suture.mapping.model import Map

START, END = "<!-- begin: {} -->", "<!-- end: {} -->"
KINDS = {"message": "messages", "segment": "segments", "datatype": "datatypes", "json": "JSON", "fhir": "FHIR"}


def functions() -> str:
    """Every registered function with what it does and an example."""
    lines = ["| function | gives | what it does | example |", "|---|---|---|---|"]
    lines += [f"| `{_call(f)}` | {f.gives} | {f.help} | {_example(f)} |" for f in REGISTRY.values()]
    return "\n".join(lines)


def _call(f: Function) -> str:
    return f"{f.name}(…)" if f.most else f.name


def _example(f: Function) -> str:
    text, out = f.examples[0]
    text = text.replace(" | ", " with ")
    return f"`{_shown(text)}` → `{_shown(out)}`" if text.strip() else f"nothing → `{_shown(out)}`"


def _shown(value: Any) -> str:
    return str(value).replace("\n", "\\n").replace("\t", "\\t").replace("|", "\\|")


def maps(library: Library) -> str:
    """Every map by kind."""
    made = [library.require(name) for name in library.names()]
    parts = []
    for kind, title in KINDS.items():
        of = [one for one in made if one.kind == kind]
        if of:
            parts.append(f"**{title[0].upper() + title[1:]}**\n\n| map | makes | what |\n|---|---|---|")
            parts[-1] += "".join(f"\n| `{one.name}` | {_makes(one)} | {one.title} |" for one in of)
    return "\n\n".join(parts)


def _makes(made: Map) -> str:
    if made.part is None:
        return made.target
    found: list[str] = []
    parts = [made.part]
    while parts:
        part = parts.pop(0)
        found += [entry.resource for entry in part.entries]
        parts += part.parts
    return ", ".join(dict.fromkeys(found))


def put(text: str, name: str, table: str) -> str:
    """The page with the table between its marks."""
    start, end = START.format(name), END.format(name)
    before, _, rest = text.partition(start)
    _, _, after = rest.partition(end)
    return f"{before}{start}\n\n{table}\n\n{end}{after}"
