"""Makes suture/standards/fhir/vital_signs/profiles.jsonl from the CC0 package hl7.fhir.r4.core: https://hl7.org/fhir/R4/observation-vitalsigns.html

    python scripts/build_vital_signs.py hl7.fhir.r4.core-4.0.1.tgz

Kept is what a profile asks for beyond R4, as for US Core.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from scripts.build_us_core import elements
from suture.standards.fhir import packages

OUT = Path(__file__).parents[1] / "suture/standards/fhir/vital_signs"
SD = "http://hl7.org/fhir/StructureDefinition/"
NAMES = [
    "vitalsigns",
    "vitalspanel",
    "resprate",
    "heartrate",
    "oxygensat",
    "bodytemp",
    "bodyheight",
    "headcircum",
    "bodyweight",
    "bmi",
    "bp",
]
# on the units of all components, oxygen flows as well: R4B took it back, and US Core's examples break it
TOO_MUCH = "http://hl7.org/fhir/ValueSet/ucum-vitals-common"
# of a body mass index alone, where all others (vs-2) and US Core let dataAbsentReason stand for the value
ALWAYS = "Observation.value[x]:valueQuantity"


def line(definition: dict[str, Any]) -> list[Any]:
    """[canonical, type, base, elements]; what is only must-support asks for nothing."""
    kept = ([id, wanted(id, asked)] for id, asked in elements(definition))
    found = [[id, asked] for id, asked in kept if asked or ":" in id.rpartition(".")[2]]
    return [definition["url"], definition["type"], definition["baseDefinition"], found]


def wanted(id: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Without what is only must-support, and without what the standard can't have meant."""
    too_much = asked.get("binding", {}).get("valueSet", "").partition("|")[0] == TOO_MUCH
    left = {"mustSupport"} | ({"binding"} if too_much else set()) | ({"min"} if id == ALWAYS else set())
    return {key: value for key, value in asked.items() if key not in left}


def write(archive: Path, out: Path = OUT) -> None:
    package = packages.read(archive.read_bytes(), archive.name)
    known = {one["url"]: one for one in package.resources if one["resourceType"] == "StructureDefinition"}
    rows = [json.dumps(line(known[SD + name]), ensure_ascii=False, separators=(",", ":")) for name in NAMES]
    (out / "profiles.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{package}: {len(rows)} rows, {sum(map(len, rows)) // 1024} KiB")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
