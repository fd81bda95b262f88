"""$validate-code: whether a code is in a value set, or in a code system.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html · https://hl7.org/fhir/R4/codesystem-operation-validate-code.html
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import suture.services.operations.terms as terms
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access
from suture.services.operations.operation import Asked, Operation, Parameter
from suture.standards.terminology.validation import Coding, Manner, Verdict, best, in_set, in_system
from suture.store.connection import Connection

_WHERE = "http://hl7.org/fhir/OperationDefinition"


async def of_set(asked: Asked) -> Answer:
    """By a value set."""
    return await terms.answered(asked, _of_set)


def _of_set(asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    value_set = terms.value_set(asked, access, connection, shelf)
    return _told(best([in_set(shelf, value_set, coding, _manner(asked)) for coding in terms.of_systems(asked)]))


async def of_system(asked: Asked) -> Answer:
    """By a code system."""
    return await terms.answered(asked, _of_system)


def _of_system(asked: Asked, access: Access, connection: Connection) -> Answer:
    shelf = terms.shelf_of(asked, connection)
    given = terms.codings(asked, "url")
    if not asked.id and asked.one("url") is None:
        asked.values["url"] = [given[0].system]
    version = asked.one("version", "") or given[0].version
    system = terms.code_system(asked, access, connection, shelf, version=version)
    return _told(best([_judged(asked, system, coding) for coding in given]))


def _judged(asked: Asked, system: Any, coding: Coding) -> Verdict:
    if coding.system and coding.system != system.url:
        return Verdict(False, f"The code is of {coding.system}, not of {system.url}", coding)
    return in_system(system, replace(coding, system=system.url), _manner(asked, True))


def _manner(asked: Asked, abstract: bool = False) -> Manner:
    return Manner(asked.one("abstract", abstract), asked.one("displayLanguage", ""))


def _told(verdict: Verdict) -> Answer:
    made: list[dict[str, Any]] = [{"name": "result", "valueBoolean": verdict.result}]
    texts = (
        ("message", "valueString", verdict.message),
        ("display", "valueString", verdict.display),
        ("code", "valueCode", verdict.coding.code),
        ("system", "valueUri", verdict.coding.system),
        ("version", "valueString", verdict.coding.version),
    )
    return terms.told([*made, *({"name": name, key: text} for name, key, text in texts if text)])


_GIVEN = (
    Parameter("code", "code", "the code; send its system with it"),
    Parameter("coding", "Coding", "the code as a Coding"),
    Parameter("codeableConcept", "CodeableConcept", "several codings; one that holds is enough"),
    Parameter("display", "string", "a display that is checked, too"),
    Parameter("abstract", "boolean", "whether codes that only group others will do"),
    terms.LANGUAGE,
)
SET = Operation(
    "validate-code", f"{_WHERE}/ValueSet-validate-code", "Whether a code is in a value set.", ("type", "instance"), of_set,
    types=("ValueSet",),
    parameters=(
        Parameter("url", "uri", "canonical of the value set, maybe with |version"),
        Parameter("valueSet", "ValueSet", "the value set itself"),
        Parameter("valueSetVersion", "string", "version of the value set"),
        Parameter("system", "uri", "URL of the code's system"),
        Parameter("systemVersion", "string", "version of the code's system"),
        *_GIVEN,
    ),
    scope="r or s of ValueSet",
)  # fmt: skip
SYSTEM = Operation(
    "validate-code", f"{_WHERE}/CodeSystem-validate-code", "Whether a code is in a code system.", ("type", "instance"),
    of_system,
    types=("CodeSystem",),
    parameters=(
        Parameter("url", "uri", "URL of the code system"),
        Parameter("version", "string", "version of the code system"),
        *_GIVEN,
    ),
    scope="r or s of CodeSystem",
)  # fmt: skip
