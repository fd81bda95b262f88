"""One call of $graphql: read, checked, answered under one audit row (https://hl7.org/fhir/R4/graphql.html)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import suture.services.interactions.read as reads
from suture.access.caller import Caller
from suture.errors import Invalid, TooCostly
from suture.services.graphql.scope import Scope
from suture.services.graphql.sources import Sources
from suture.services.graphql.steps import ROOT
from suture.services.graphql.walk import Walk
from suture.services.interactions.answer import Answer
from suture.services.interactions.chart import Chart
from suture.services.interactions.incoming import require_id, require_type
from suture.standards.fhir import json
from suture.standards.graphql import parser
from suture.store import whose
from suture.store.connection import Connection

WHAT = "$graphql"


@dataclass(frozen=True, slots=True)
class Question:
    """A query, of the system or of one resource."""

    query: str
    operation: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    type: str = ""
    id: str = ""

    @staticmethod
    def read(values: Mapping[str, Any], type: str = "", id: str = "") -> Question:
        """From a JSON body, or from the parameters of a URL."""
        query, operation = values.get("query"), values.get("operationName") or ""
        variables = values.get("variables") or {}
        if not isinstance(query, str) or not query.strip():
            raise Invalid("no query", where="query", mend='Send {"query": "{ Patient(id: \\"1\\") { id } }"}.')
        if not isinstance(operation, str):
            raise Invalid("must be a name", where="operationName")
        if not isinstance(variables, dict):
            raise Invalid("must be an object", where="variables")
        return Question(query, operation, variables, type, id)


async def answer(chart: Chart, caller: Caller, asked: Question) -> Answer:
    """`{"data": …}`; whatever is wrong refuses the whole."""
    if asked.type:
        require_type(asked.type)
        require_id(asked.id)
    async with chart.access(caller, WHAT, asked.type, asked.id) as access:
        found = await chart.slowly(lambda connection: _bounded(chart, caller, asked, connection))
        access.concerns(found.patients)
        return found


def _bounded(chart: Chart, caller: Caller, asked: Question, connection: Connection) -> Answer:
    try:
        return _answered(chart, caller, asked, connection)
    except RecursionError:
        raise TooCostly("the query is nested too deep", where="query", mend="Ask in parts.") from None


def _answered(chart: Chart, caller: Caller, asked: Question, connection: Connection) -> Answer:
    scope = Scope(parser.read(asked.query), asked.operation, asked.variables)
    scope.check(asked.type or ROOT)
    sources = Sources(chart, caller, connection)
    resource = None
    if asked.type:
        resource = sources.taken(reads.current(connection, caller, asked.type, asked.id))
    made = Walk(scope, sources).answer(resource)
    patients = (*whose.of_rows(connection, sources.rows.values()), *whose.of_versions(connection, sources.old))
    return Answer(json.write({"data": made}), 200, patients)
