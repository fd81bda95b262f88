"""$lookup and $subsumes: what a code system says of its codes.

https://hl7.org/fhir/R4/codesystem-operation-lookup.html · https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from dataclasses import replace

import suture.services.operations.terms as terms
from suture.errors import Invalid, NotFound
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.terminology import concept
from suture.standards.terminology.code_system import CodeSystem
from suture.standards.terminology.validation import Coding
from suture.store.connection import Connection

_WHERE = "http://hl7.org/fhir/OperationDefinition"


async def lookup(asked: Asked) -> Answer:
    """Display, properties and designations of a code; raises NotFound for an unknown one."""
    return await terms.answered(asked, _lookup)


def _lookup(asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    coding = _one(asked)
    asked.values["system"] = [coding.system]
    system = terms.code_system(asked, access, connection, shelf, "system", asked.one("version") or coding.version)
    wanted = asked.all("property")
    missing = concept.unknown(system, wanted)
    if missing:
        raise Invalid(f"{system.url} has no property '{missing[0][:64]}'", where="property", mend="Leave it out.")
    code = _there(system, coding.code, "code")
    return terms.told(concept.told(system, code, wanted, asked.one("displayLanguage", "")))


def _one(asked: Asked) -> Coding:
    coding = terms.of_systems(asked)[0]
    return replace(coding, version=asked.one("version") or coding.version)


def _there(system: CodeSystem, code: str, where: str) -> str:
    found = system.find(code)
    if found is None:
        version = f"|{system.version}" if system.version else ""
        raise NotFound(f"the code '{code}' is not in {system.url}{version}", where=where)
    return found


async def subsumes(asked: Asked) -> Answer:
    """How code A stands to code B in their hierarchy."""
    return await terms.answered(asked, _subsumes)


def _subsumes(asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    first, second = _side(asked, "A"), _side(asked, "B")
    system = _shared(asked, first, second)
    if not asked.id:
        asked.values["system"] = [system]
    found = terms.code_system(asked, access, connection, shelf, "system", asked.one("version", ""))
    if system and system != found.url:
        raise Invalid(f"the codes are of {system}, not of {found.url}", where="system")
    codes = (_there(found, first.code, "codeA"), _there(found, second.code, "codeB"))
    return terms.told([{"name": "outcome", "valueCode": concept.outcome(found, *codes)}])


def _side(asked: Asked, letter: str) -> Coding:
    code, coding = asked.one(f"code{letter}"), asked.one(f"coding{letter}")
    if (code is None) == (coding is None):
        raise Invalid(
            f"which code {letter} is meant?", where=f"code{letter}", mend=f"Send code{letter} or coding{letter}."
        )
    return Coding("", code) if coding is None else terms.coding_of(coding, f"coding{letter}")


def _shared(asked: Asked, first: Coding, second: Coding) -> str:
    """The one system of both."""
    systems = {text for text in (asked.one("system", ""), first.system, second.system) if text}
    if len(systems) > 1:
        raise Invalid(
            "the codes are of different systems", where="codingB.system", mend="Send two codes of one system."
        )
    if not systems and not asked.id:
        raise Invalid("which code system is meant?", where="system", mend="Send system.")
    return next(iter(systems), "")


LOOKUP = Operation(
    "lookup", f"{_WHERE}/CodeSystem-lookup", "What a code system says of a code.", ("type",), lookup,
    types=("CodeSystem",),
    parameters=(
        *terms.CODE,
        Parameter("property", "code", "only these properties", many=True),
        terms.LANGUAGE,
    ),
    scope="r or s of CodeSystem",
)  # fmt: skip
SUBSUMES = Operation(
    "subsumes", f"{_WHERE}/CodeSystem-subsumes", "How two codes stand in their hierarchy.", ("type", "instance"), subsumes,
    types=("CodeSystem",),
    parameters=(
        Parameter("codeA", "code", "the first code"),
        Parameter("codeB", "code", "the second code"),
        Parameter("system", "uri", "URL of their system"),
        Parameter("version", "string", "version of the code system"),
        Parameter("codingA", "Coding", "the first code as a Coding"),
        Parameter("codingB", "Coding", "the second code as a Coding"),
    ),
    scope="r or s of CodeSystem",
)  # fmt: skip
