"""Reads code systems as their publishers ship them: LOINC, SNOMED CT, RxNorm, ICD-10-CM, CVX. Lines come in, concepts go out.

https://loinc.org/downloads/ · https://www.cms.gov/medicare/coding-billing/icd-10-codes · https://www2.cdc.gov/vaccines/iis/iisstandards/vaccines.asp?rpt=cvx
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from suture.standards.terminology.lines import Concept, Files, Lines, Property
from suture.standards.terminology.rxnorm import rxnorm
from suture.standards.terminology.snomed import SYSTEM, snomed

_ICD = re.compile(r"\d{5} [A-Z][0-9A-Z]{2,6} +[01] ")
_LOINC_PROPERTIES = (
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "STATUS",
    "ORDER_OBS",
)


def cvx(files: Files) -> Iterator[Concept]:
    """code|short description|full name|notes|status|non-vaccine|updated."""
    lines, seen = files["cvx"], set[str]()
    for number, line in lines:
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.rstrip("\r\n").split("|")]
        if len(cells) < 5 or not re.fullmatch(r"\d{1,4}", cells[0]):
            raise lines.wrong(number, "not a line of CVX", "It has code|short|full name|notes|status|….")
        if cells[0] in seen:
            raise lines.wrong(number, f"the code {cells[0]} comes twice", "Take one out.")
        seen.add(cells[0])
        properties: list[Property] = [{"code": "VaccineStatus", "valueString": cells[4]}]
        if cells[4].casefold() == "inactive":
            properties.append({"code": "inactive", "valueBoolean": True})
        yield Concept(cells[0], cells[1], [], properties, [{"value": cells[2]}] if cells[2] else [])


def icd_10_cm(files: Files) -> Iterator[Concept]:
    """The order file: number, code without its dot, 0 for a heading, short and long description, at fixed places."""
    lines, seen = files["order"], set[str]()
    for number, line in lines:
        if not line.strip():
            continue
        if _ICD.match(line) is None or len(line) < 78:
            raise lines.wrong(number, "not a line of the ICD-10-CM order file", "Give icd10cm-order-YYYY.txt.")
        code = line[6:13].strip()
        if code in seen:
            raise lines.wrong(number, f"the code {code} comes twice", "Take one out.")
        seen.add(code)
        parent = next((code[:end] for end in range(len(code) - 1, 2, -1) if code[:end] in seen), "")
        short = line[16:76].strip()
        properties: list[Property] = [{"code": "billable", "valueBoolean": line[14] == "1"}]
        display = line[77:].strip()
        more = [{"value": short}] if short != display else []
        yield Concept(_dotted(code), display, [_dotted(parent)] if parent else [], properties, more)


def _dotted(code: str) -> str:
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


def loinc(files: Files) -> Iterator[Concept]:
    """Loinc.csv; with ComponentHierarchyBySystem.csv its hierarchy, with AnswerList.csv its answers."""
    tree = _hierarchy(files["hierarchy"]) if "hierarchy" in files else _Tree()
    seen = set[str]()
    for number, row in files["loinc"].rows("LOINC_NUM", "LONG_COMMON_NAME", "STATUS"):
        code = row["LOINC_NUM"]
        if not re.fullmatch(r"\d{1,7}-\d", code) or code in seen:
            text = f"the code {code} comes twice" if code in seen else "this is no LOINC number"
            raise files["loinc"].wrong(number, text, "Mend the line.")
        seen.add(code)
        properties: list[Property] = [
            {"code": name, "valueString": row[name]} for name in _LOINC_PROPERTIES if row.get(name)
        ]
        if row["STATUS"] == "DEPRECATED":
            properties.append({"code": "inactive", "valueBoolean": True})
        more = [{"value": row[name]} for name in ("SHORTNAME", "CONSUMER_NAME") if row.get(name)]
        yield Concept(code, row["LONG_COMMON_NAME"], tree.parents.get(code, []), properties, more)
    for code, text in tree.texts.items():
        if code not in seen:
            seen.add(code)
            yield Concept(code, text, tree.parents.get(code, []), [], [])
    if "answers" in files:
        yield from _answers(files["answers"], seen)


@dataclass(slots=True)
class _Tree:
    texts: dict[str, str] = field(default_factory=dict)  # in the file's order
    parents: dict[str, list[str]] = field(default_factory=dict)


def _hierarchy(lines: Lines) -> _Tree:
    tree = _Tree()
    for _, row in lines.rows("IMMEDIATE_PARENT", "CODE", "CODE_TEXT"):
        code, parent = row["CODE"], row["IMMEDIATE_PARENT"]
        tree.texts.setdefault(code, row["CODE_TEXT"])
        above = tree.parents.setdefault(code, [])
        if parent and parent not in above:
            above.append(parent)
    return tree


def _answers(lines: Lines, seen: set[str]) -> Iterator[Concept]:
    """Each answer once, with the lists it is in."""
    texts, lists = dict[str, str](), dict[str, list[Property]]()
    for _, row in lines.rows("AnswerListId", "AnswerStringId", "DisplayText"):
        code = row["AnswerStringId"]
        if code and code not in seen:
            texts.setdefault(code, row["DisplayText"])
            lists.setdefault(code, []).append({"code": "LIST", "valueString": row["AnswerListId"]})
    yield from (Concept(code, text, [], lists[code], []) for code, text in texts.items())


@dataclass(frozen=True, slots=True)
class Kind:
    """A code system that can be loaded. `files`: name -> how its file is called; the first is needed."""

    url: str
    title: str
    files: Mapping[str, str]
    read: Callable[[Files], Iterator[Concept]]
    needed: tuple[str, ...] = ()  # besides the first


KINDS: dict[str, Kind] = {
    "loinc": Kind(
        "http://loinc.org",
        "LOINC",
        {"loinc": r"loinc\.csv", "hierarchy": r"componenthierarchybysystem\.csv", "answers": r"answerlist\.csv"},
        loinc,
    ),
    "snomed": Kind(
        SYSTEM,
        "SNOMED CT",
        {
            "concepts": r"x?sct2_concept_(?:\w*)snapshot_.*\.txt",
            "descriptions": r"x?sct2_description_(?:\w*)snapshot(?:-en)?_.*\.txt",
            "relationships": r"x?sct2_relationship_(?:\w*)snapshot_.*\.txt",
            "language": r"x?der2_crefset_language(?:\w*)snapshot(?:-en)?_.*\.txt",
        },
        snomed,
        needed=("concepts", "descriptions", "relationships"),
    ),
    "rxnorm": Kind(
        "http://www.nlm.nih.gov/research/umls/rxnorm",
        "RxNorm",
        {"concepts": r"rxnconso\.rrf", "relations": r"rxnrel\.rrf"},
        rxnorm,
    ),
    "icd-10-cm": Kind("http://hl7.org/fhir/sid/icd-10-cm", "ICD-10-CM", {"order": r"icd10cm.order.*\.txt"}, icd_10_cm),
    "cvx": Kind("http://hl7.org/fhir/sid/cvx", "CVX", {"cvx": r"cvx.*\.txt"}, cvx),
}
