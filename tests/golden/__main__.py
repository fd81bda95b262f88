"""`python -m tests.golden` writes the `out` file of every example of the shipped maps, and of every message here, that has none; `--all` writes all anew.

It also writes the tables of functions and maps in docs/.

Look at the difference before you commit it: what is written here is what the tests then hold fast.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from suture.mapping import examples, reference
from suture.mapping.library import Library
from suture.standards.fhir import json as fhir_json
from tests.golden import messages

FOLDER = Path(__file__).parents[2] / "suture" / "maps"


def pretty(value: Any) -> str:
    """Indented JSON in which decimals keep their form."""
    numbers: dict[str, str] = {}

    def plain(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: plain(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [plain(inner) for inner in item]
        if type(item).__name__ == "Decimal":
            mark = f"@decimal{len(numbers)}@"
            numbers[f'"{mark}"'] = str(item)
            return mark
        return item

    text = json.dumps(plain(value), indent=2, ensure_ascii=False)
    for mark, number in numbers.items():
        text = text.replace(mark, number)
    return text + "\n"


def main(everything: bool) -> None:
    library = Library()
    for name in library.names():
        compiled = library.compiled(name)
        for example in compiled.map.examples:
            file = FOLDER / str(example.get("out", ""))
            if "out" in example and (everything or not file.exists()):
                value = examples.run(library, compiled, example).value
                assert fhir_json.read(pretty(value).encode()) == value
                file.write_text(pretty(value), encoding="utf-8")
                print(f"{name}: {file.relative_to(FOLDER)}")
    for source in messages.files():
        file = source.with_suffix(".json")
        if everything or not file.exists():
            file.write_text(pretty(messages.made(library, source)), encoding="utf-8")
            print(f"message: {file.name}")


def docs() -> None:
    """The tables in docs/."""
    for file, name, table in pages():
        file.write_text(reference.put(file.read_text(encoding="utf-8"), name, table), encoding="utf-8")


def pages() -> list[tuple[Path, str, str]]:
    """Page, name of its table, the table."""
    root = FOLDER.parents[1] / "docs"
    return [
        (root / "map-language.md", "functions", reference.functions()),
        (root / "maps.md", "maps", reference.maps(Library())),
    ]


if __name__ == "__main__":
    main("--all" in sys.argv)
    docs()
