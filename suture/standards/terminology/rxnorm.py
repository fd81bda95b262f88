"""Reads RxNorm's RRF files: concepts, their names and what they are made of (https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from suture.standards.terminology.lines import Concept, Files, Lines, Property

SOURCE = "RXNORM"
_CODE = re.compile(r"\d{1,10}")
# kinds of terms that name a concept, best first; all others are other names of it
_NAMING = (
    "SCD",
    "SBD",
    "GPCK",
    "BPCK",
    "SCDC",
    "SBDC",
    "SCDF",
    "SBDF",
    "SCDG",
    "SBDG",
    "IN",
    "PIN",
    "MIN",
    "BN",
    "DF",
    "DFG",
)
_RANK = {kind: rank for rank, kind in enumerate(_NAMING)}
# what RXCUI2 is to RXCUI1, of what is kept
_RELATIONS = frozenset({"has_ingredient", "has_dose_form", "has_tradename", "tradename_of", "consists_of"})


@dataclass(slots=True)
class _Named:
    """The names of one concept; the lowest rank is its display."""

    names: list[tuple[int, str, str]] = field(default_factory=list)  # rank, kind, text
    suppressed: bool = True


def rxnorm(files: Files) -> Iterator[Concept]:
    """RXNCONSO.RRF; with RXNREL.RRF hierarchy (isa), ingredients, dose forms and trade names."""
    found = _names(files["concepts"])
    parents, related = _relations(files["relations"], found) if "relations" in files else ({}, {})
    for code, named in found.items():
        (_, kind, display), *others = sorted(named.names)
        properties: list[Property] = [{"code": "TTY", "valueCode": kind}, *related.get(code, [])]
        if named.suppressed:
            properties.append({"code": "inactive", "valueBoolean": True})
        more = [{"value": text} for text in dict.fromkeys(text for _, _, text in others) if text != display]
        yield Concept(code, display, parents.get(code, []), properties, more)


def _names(lines: Lines) -> dict[str, _Named]:
    found: dict[str, _Named] = {}
    for number, cells in _cells(lines, 18):
        if cells[11] != SOURCE:
            continue
        if not _CODE.fullmatch(cells[0]) or not cells[14]:
            raise lines.wrong(number, "no RXCUI or no name", "Mend the line.")
        named = found.setdefault(cells[0], _Named())
        named.names.append((_RANK.get(cells[12], len(_RANK)), cells[12], cells[14]))
        named.suppressed = named.suppressed and cells[16] in ("O", "E", "Y")
    return found


def _relations(lines: Lines, known: dict[str, _Named]) -> tuple[dict[str, list[str]], dict[str, list[Property]]]:
    """RXCUI2 stands in the relation RELA to RXCUI1."""
    parents: dict[str, list[str]] = {}
    related: dict[str, list[Property]] = {}
    for _, cells in _cells(lines, 16):
        first, second, name = cells[0], cells[4], cells[7]
        if cells[10] != SOURCE or first not in known or second not in known or first == second:
            continue
        if name == "isa" and first not in parents.setdefault(second, []):
            parents[second].append(first)
        elif name in _RELATIONS:
            related.setdefault(second, []).append({"code": name, "valueCode": first})
    return parents, related


def _cells(lines: Lines, least: int) -> Iterator[tuple[int, list[str]]]:
    for number, line in lines:
        if not line.strip():
            continue
        cells = line.rstrip("\r\n").split("|")
        if len(cells) < least:
            raise lines.wrong(number, f"{len(cells)} columns, not {least}", "Is this the right file?")
        yield number, cells
