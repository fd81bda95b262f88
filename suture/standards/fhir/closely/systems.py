"""Code systems that are known whole, as far as a rule asks for them: the site's own, and R4's.

https://hl7.org/fhir/R4/codesystem.html
"""

from __future__ import annotations

from suture.errors import SutureError
from suture.standards.fhir.closely.node import Node, Whole
from suture.standards.terminology import core
from suture.standards.terminology.code_system import CodeSystem, of_resource

# the base of what was published with R4 and does not grow without it
OURS = "http://hl7.org/fhir/"


def _known(whole: Whole) -> dict[str, CodeSystem | None]:
    return {}


def system(node: Node, url: str) -> CodeSystem | None:
    """The code system when all its codes are known here; None else. R4's share of what grows elsewhere is not whole."""
    known = node.whole.once(_known)
    if url not in known:
        known[url] = _stored(node, url) or (core.code_system(url) if url.startswith(OURS) else None)
    found = known[url]
    return found if found is not None and found.whole else None


def _stored(node: Node, url: str) -> CodeSystem | None:
    found = node.around.definition("CodeSystem", url)
    try:
        return of_resource(found) if found is not None and found.get("content") == "complete" else None
    except SutureError:
        return None
