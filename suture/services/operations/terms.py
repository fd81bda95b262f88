"""What the operations on terminology have in common: who may ask, what is meant, and how a code is written.

https://hl7.org/fhir/R4/terminology-service.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import suture.services.interactions.guard as guard
from suture.access import policy, withheld
from suture.access.policy import Reach
from suture.errors import Invalid, NotFound
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Access
from suture.services.operations.operation import Asked, Parameter
from suture.services.terminology.kept import Cold
from suture.services.terminology.shelf import Shelf
from suture.standards.fhir import json, validate
from suture.standards.terminology.code_system import CodeSystem, of_resource
from suture.standards.terminology.compose import LOAD, canonical, unknown_set
from suture.standards.terminology.validation import Coding
from suture.store.connection import Connection

Work = Callable[[Asked, Access, Connection], Answer]
LANGUAGE = Parameter("displayLanguage", "code", "language of displays, such as de")
CODE = (
    Parameter("code", "code", "the code; send its system with it"),
    Parameter("system", "uri", "URL of the code's system"),
    Parameter("version", "string", "version of the code system"),
    Parameter("coding", "Coding", "the code as a Coding"),
)


def shelf_of(asked: Asked, connection: Connection) -> Shelf:
    """What the caller may use; raises Forbidden when it may read no terminology of this type."""
    if policy.reach(asked.caller, "search-type", asked.type) is Reach.NOTHING:
        policy.require(asked.caller, "read", asked.type)
    judged = guard.judge(connection, asked.caller, "read", withheld.of(connection, asked.caller))
    return asked.chart.terminology.shelf(connection, judged, quick=connection is asked.chart.database.read)


async def slowly(asked: Asked, work: Work) -> Answer:
    """In a thread: for what always takes a while."""
    async with asked.frame() as access:
        return await asked.chart.slowly(partial(work, asked, access))


async def answered(asked: Asked, work: Work) -> Answer:
    """At once, or in a thread when a large code system has to be read first."""
    async with asked.frame() as access:
        try:
            return work(asked, access, asked.chart.database.read)
        except Cold:
            return await asked.chart.slowly(partial(work, asked, access))


def stored(asked: Asked, access: Access, connection: Connection) -> dict[str, Any]:
    """The resource that the operation is called on."""
    row = guard.present(guard.visible(connection, asked.caller, "read", asked.type, asked.id))
    access.touched(connection, row)
    found: dict[str, Any] = json.reread(row.body)
    return found


def given(asked: Asked, access: Access, connection: Connection, type: str, name: str) -> dict[str, Any] | None:
    """The resource of the address, or the one that came with the call as the parameter `name`, if it is sound."""
    if asked.id:
        return stored(asked, access, connection)
    sent: dict[str, Any] | None = asked.one(name)
    if sent is None:
        return None
    if sent.get("resourceType") != type:
        raise Invalid(f"this is no {type}", where=name, mend=f"Send a {type} resource.")
    validate.require(sent)
    return sent


def value_set(asked: Asked, access: Access, connection: Connection, shelf: Shelf) -> dict[str, Any]:
    """The value set that is meant: given, or by its URL."""
    here = given(asked, access, connection, "ValueSet", "valueSet")
    if here is not None:
        return here
    url = asked.one("url")
    if url is None:
        raise Invalid("which value set is meant?", where="url", mend="Send url, or a ValueSet as valueSet.")
    named, version = canonical(url)
    wanted = asked.one("valueSetVersion", version)
    found = shelf.value_set(named, wanted)
    if found is None:
        raise unknown_set(f"{named}|{wanted}" if wanted else named, "url")
    return found


def code_system(
    asked: Asked, access: Access, connection: Connection, shelf: Shelf, named: str = "url", version: str = ""
) -> CodeSystem:
    """The code system that is meant: of the address, or by its URL; raises NotFound."""
    if asked.id:
        return of_resource(stored(asked, access, connection))
    url, own = canonical(asked.one(named) or "")
    if not url:
        raise Invalid("which code system is meant?", where=named, mend=f"Send {named}.")
    found = shelf.system(url, version or own)
    if found is None:
        text = f"the code system {url[:300]}{'|' if version or own else ''}{version or own} is not known here"
        raise NotFound(text, where=named, mend=LOAD)
    return found


def codings(asked: Asked, system: str = "system") -> list[Coding]:
    """The code to be judged, as code and system, coding, or codeableConcept; raises Invalid unless it is one of them."""
    ways = [name for name in ("code", "coding", "codeableConcept") if asked.one(name) is not None]
    if len(ways) != 1:
        mend = "Send one of: code with system, coding, codeableConcept."
        raise Invalid(
            "which code is meant?" if not ways else "the code comes in more than one way", where="code", mend=mend
        )
    if ways == ["code"]:
        system_version = asked.one("systemVersion" if system == "system" else "version", "")
        return [Coding(asked.one(system, ""), asked.one("code"), system_version, asked.one("display", ""))]
    sent = asked.one(ways[0])
    found = [sent] if ways == ["coding"] else sent.get("coding")
    if not isinstance(found, list) or not found or not all(isinstance(one, dict) for one in found):
        raise Invalid("there is no coding in it", where=ways[0], mend="Send a coding with system and code.")
    return [coding_of(one, ways[0]) for one in found]


def of_systems(asked: Asked) -> list[Coding]:
    """`codings`, each with its system; raises Invalid for one without."""
    found = codings(asked)
    if not all(coding.system for coding in found):
        raise Invalid("a code without its system says nothing", where="system", mend="Send the system, too.")
    return found


def coding_of(given: dict[str, Any], where: str) -> Coding:
    """A Coding as it was sent; raises Invalid for one without a code."""
    values = [given.get(name, "") for name in ("system", "code", "version", "display")]
    if not all(isinstance(value, str) for value in values) or not values[1]:
        raise Invalid("a coding has a code", where=f"{where}.code", mend="Send system and code.")
    return Coding(*values)


def told(parameters: Iterable[dict[str, Any]]) -> Answer:
    """A Parameters resource."""
    return Answer(json.write({"resourceType": "Parameters", "parameter": list(parameters)}))
