"""Builds suture/standards/hl7v2/tables/*.json from PyPI hl7apy and npm hl7-dictionary (both MIT, see NOTICE).

    pip install hl7apy==1.3.5 && npm pack hl7-dictionary@1.0.1
    python -m scripts.build_hl7v2 hl7-dictionary-1.0.1.tgz

The tables are a superset: the newest version that defines a field gives its type, the oldest still counts.
"""

from __future__ import annotations

import importlib
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "suture" / "standards" / "hl7v2" / "tables"
VERSIONS = ("2_8_2", "2_8_1", "2_8", "2_7", "2_6", "2_5_1", "2_5", "2_4", "2_3_1", "2_3")
# what real feeds and maps use first: groups of 2.7 carry ORC and OBR side by side as 2.3-2.6 do
STRUCTURE_VERSIONS = ("2_7", "2_5_1", "2_8_2", "2_8", "2_6", "2_4", "2_3_1", "2_3")
NAME_VERSIONS = ("2.7.1", "2.7", "2.6", "2.5.1", "2.5", "2.4", "2.3.1", "2.3")
WITHDRAWN = {"WD", "-", "", None}
RENAMED = {("SPECIMEN", "PATIENT_OBSERVATION"): "SPECIMEN_OBSERVATION"}
# segments that later versions or real senders put after another one
AFTER = {"AL1": ["IAM"], "PD1": ["OH1", "OH2", "OH3", "OH4", "PRT"], "SPM": ["NTE"], "MSH": ["NTE"]}
# HL7 table 0354: events that share the structure of another one
SHARED = {
    "ADT_A01": "A04 A08 A13",
    "ADT_A05": "A14 A28 A31",
    "ADT_A06": "A07",
    "ADT_A09": "A10 A11",
    "ADT_A21": "A22 A23 A25 A26 A27 A29 A32 A33",
    "ADT_A30": "A34 A35 A36 A46 A47 A48 A49",
    "ADT_A39": "A40 A41 A42",
    "ADT_A43": "A44",
    "ADT_A50": "A51",
    "ADT_A52": "A53",
    "ADT_A54": "A55",
    "ADT_A61": "A62",
    "SIU_S12": "S13 S14 S15 S16 S17 S18 S19 S20 S21 S22 S23 S24 S26 S27",
    "SRM_S01": "S02 S03 S04 S05 S06 S07 S08 S09 S10 S11",
    "MDM_T01": "T03 T05 T07 T09 T11",
    "MDM_T02": "T04 T06 T08 T10",
    "REF_I12": "I13 I14 I15",
    "RDE_O11": "O25",
    "PPR_PC1": "PC2 PC3",
    "ORU_R30": "R31 R32",
    "QBP_Q21": "Q22 Q23 Q24 Q25",
    "RSP_K23": "K24",
}


def main(archive: str) -> None:
    """Writes the tables."""
    names = dictionary(archive)
    TARGET.mkdir(parents=True, exist_ok=True)
    write("segments", segments(names))
    write("types", types(names))
    found = structures()
    write("structures", found)
    write("events", events(names, found))


def write(name: str, value: dict[str, Any]) -> None:
    lines = [f"{json.dumps(key)}:{json.dumps(value[key], separators=(',', ':'))}" for key in sorted(value)]
    (TARGET / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def module(version: str, name: str) -> Any:
    return importlib.import_module(f"hl7apy.v{version}.{name}")


def dictionary(archive: str) -> dict[str, dict[str, Any]]:
    """version -> {fields, segments, messages} of hl7-dictionary."""
    found: dict[str, dict[str, Any]] = {}
    with tarfile.open(archive) as tar:
        for version in NAME_VERSIONS:
            for kind in ("fields", "segments", "messages"):
                member = tar.extractfile(f"package/lib/{version}/{kind}.js")
                text = member.read().decode("utf-8") if member else "{}"
                found.setdefault(version, {})[kind] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return found


def segments(names: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """segment -> [name, [[field name, type, repeats, table], ...]]."""
    found: dict[str, Any] = {}
    for version in VERSIONS:
        for name, definition in module(version, "segments").SEGMENTS.items():
            if len(name) == 3 and len(definition) > 1:
                rows = [(int(f[0].split("_")[1]), f[1][2], f[1][3], f[2], f[1][4]) for f in definition[1]]
                merge(found.setdefault(name, {}), rows)
    result = {}
    for name, fields in found.items():
        texts = [names[v]["segments"].get(name, {}) for v in NAME_VERSIONS]
        title = next((t["desc"] for t in texts if t.get("desc")), name)
        result[name] = [title, [[label(texts, "fields", n, row), *row[1:]] for n, row in filled(fields)]]
    return result


def types(names: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """data type -> [name, [[component name, type, table], ...]]; a primitive has no components."""
    found: dict[str, Any] = {}
    for version in VERSIONS:
        for name, parts in module(version, "datatypes").DATATYPES_STRUCTS.items():
            rows = [(int(c[0].split("_")[-1]), c[1][2], c[1][3], c[2], c[1][4]) for c in parts]
            merge(found.setdefault(name, {}), rows)
    result = {}
    for name, parts in found.items():
        texts = [names[v]["fields"].get(name, {}) for v in NAME_VERSIONS]
        title = next((t["desc"] for t in texts if t.get("desc")), name)
        rows = [[label(texts, "subfields", n, row), row[1], row[3]] for n, row in filled(parts)]
        result[name] = [title, rows]
    return result


def merge(into: dict[int, list[Any]], rows: list[tuple[int, str, str, tuple[int, int], str | None]]) -> None:
    """Newest first: a known field keeps its type; an older version can make it repeat or name its table."""
    for number, kind, name, (_, most), table in rows:
        if kind in WITHDRAWN or most == 0:
            continue
        row = into.setdefault(number, [name, kind, most not in (0, 1), table_number(table)])
        row[2] = row[2] or most not in (0, 1)
        row[3] = row[3] or table_number(table)


def table_number(table: str | None) -> str:
    return table.removeprefix("HL7").zfill(4) if table and not table.endswith("9999") else ""


def filled(rows: dict[int, list[Any]]) -> list[tuple[int, list[Any]]]:
    return [(n, rows.get(n, ["Withdrawn", "ST", False, ""])) for n in range(1, max(rows, default=0) + 1)]


def label(texts: list[dict[str, Any]], key: str, number: int, row: list[Any]) -> str:
    """The name as hl7-dictionary writes it when it means the same field, else hl7apy's in plain letters."""
    own = row[0].replace("_", " ").strip()
    for text in texts:
        listed = text.get(key, [])
        if len(listed) >= number and squeeze(listed[number - 1]["desc"]) == squeeze(own):
            return str(listed[number - 1]["desc"]).strip()
    return own[:1] + own[1:].lower() if own.isupper() else own


def squeeze(text: str) -> str:
    return "".join(c for c in text.lower() if c.isalnum())


def structures() -> dict[str, Any]:
    """structure -> [[segment, ? | * | 1 | +] | [group, ? | * | 1 | +, [...]], ...]."""
    found: dict[str, Any] = {}
    for version in STRUCTURE_VERSIONS:
        for name, definition in module(version, "messages").MESSAGES.items():
            if definition[1] and name not in found:
                found[name] = content(name, name, definition)
    return found


def content(structure: str, parent: str, definition: Any) -> list[Any]:
    rows: list[Any] = []
    for name, inner, (least, most), kind in definition[1]:
        count = (("?", "*"), ("1", "+"))[least > 0][most != 1]
        if name.endswith("SUPPGRP"):  # alternatives (OBR or RXO …): the last one says that one of them must be there
            choice = content(structure, parent, (name, inner[1]))
            rows += [[row[0], "?"] for row in choice[:-1]] + [[choice[-1][0], count]]
        elif kind == "GRP":
            short = name.removeprefix(structure + "_")
            short = RENAMED.get((parent, short), short)
            rows.append([short, count, content(structure, short, inner)])
        else:
            rows.append([name, count])
            rows += [[extra, "*"] for extra in AFTER.get(name, []) if extra not in {r[0] for r in rows}]
    return once(rows)


def once(rows: list[Any]) -> list[Any]:
    """Drops an added segment that the standard names right after it."""
    return [row for n, row in enumerate(rows) if n + 1 == len(rows) or rows[n + 1][0] != row[0]]


def events(names: dict[str, dict[str, Any]], known: dict[str, Any]) -> dict[str, Any]:
    """message type -> [structure, what happened]."""
    found: dict[str, Any] = {}
    for version in NAME_VERSIONS:
        for name, message in names[version]["messages"].items():
            code, _, event = name.partition("_")
            if event and name not in found:
                structure = shared(code, event) or (name if name in known else "")
                if structure:
                    found[name] = [structure, message.get("desc", "")]
    for structure, others in SHARED.items():
        for event in others.split():
            found.setdefault(f"{structure[:3]}_{event}", [structure, ""])
    for structure in known:
        found.setdefault(structure, [structure, ""])
    return {name.replace("_", "^", 1): row for name, row in found.items()}


def shared(code: str, event: str) -> str:
    for structure, others in SHARED.items():
        if structure.startswith(code + "_") and event in others.split():
            return structure
    return ""


if __name__ == "__main__":
    main(sys.argv[1])
