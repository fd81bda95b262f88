"""Codes that their code system can't have: unknown ones of systems that are known whole, and what is no code at all.

https://hl7.org/fhir/R4/terminologies.html · https://hl7.org/fhir/R4/snomedct.html · http://unitsofmeasure.org
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from suture.errors import Issue
from suture.standards import ucum
from suture.standards.fhir.closely.node import Node
from suture.standards.fhir.closely.rows import text
from suture.standards.fhir.closely.rule import Rule, error
from suture.standards.fhir.closely.systems import system

SNOMED = "http://snomed.info/sct"
UCUM = "http://unitsofmeasure.org"
_CONCEPT = re.compile(r"[1-9][0-9]{5,17}").fullmatch
_EXPRESSION = re.compile(r"[\s(=<]*[1-9][0-9]{5,17}\s*[|:+,{)].*", re.S).match

# units that UCUM has and that are measured with nowhere here: they are known by name only
_RARE = re.compile(
    r"B\[(?:m|u)?[VW]\]|B\[kW\]|B\[10\.nV\]|\[(?:bf_i|G|Btu(?:_39|_59|_60|_m|_IT|_th)?|bu_br|bu_us|car_Au|car_m|ch_br|ch_us|cicero|cml_i|cr_i|crd_us|didot"
    r"|dpt_us|dqt_us|eps_0|ft_br|fth_br|fth_us|fur_us|gal_wi|hp_Q|in_br|k|kn_br|lcwt_av|ligne|lk_br|lk_us|lne|m_e|m_p"
    r"|mesh_i|mi_br|mil_us|mu_0|nmi_br|pc_br|pca|pca_pr|p'diop|pied|pk_br|pk_us|pnt|pnt_pr|pouce|rch_us|rd_br|rd_us"
    r"|rlk_us|sct|scwt_av|smi_us|smoot|srd_us|twp|yd_br|m/s2/Hz\^0\.5|S|HPF|LPF)\]|%\[slope\]"
    r"|(?<![A-Za-z])(?:Bi|bit_s|Gb|Ky|Lmb|Oe|ph|sb|sph|st|Ao|m_e)(?![A-Za-z])"
)


def coding(node: Node) -> Iterator[Issue]:
    """A Coding, or the code of a Quantity."""
    url, code = text(node.value, "system"), text(node.value, "code")
    if not url or not code:
        return
    wrong = unwritten(url, code)
    known = system(node, url) if not wrong else None
    if known is not None and known.find(code) is None:
        yield error(
            f"{node.path}.code", f"The code system {url} has no such code.", "Take one of its codes.", "code-invalid"
        )
    elif wrong:
        yield error(f"{node.path}.code", *wrong, "code-invalid")


def unwritten(url: str, code: str) -> tuple[str, str] | None:
    """What is wrong with the form of a code, and the mend; None when its system could have it."""
    if url == SNOMED and not _CONCEPT(code) and not _EXPRESSION(code):
        return "This is no SNOMED CT identifier and no expression.", "An identifier has 6 to 18 digits."
    if url == UCUM and ucum.unit(code) is None and ucum.unit(_RARE.sub("m", code)) is None:
        return "This is no UCUM unit.", "Units are written as unitsofmeasure.org tells: mm[Hg], mg/dL, 10*3/uL."
    return None


RULES = tuple(Rule(type, coding) for type in ("Coding", "Quantity", "Age", "Distance", "Duration", "Count", "Money"))
