"""$graphql: its questions and answers are no resources, so it has a face of its own (server/graphql.py).

https://hl7.org/fhir/R4/resource-operation-graphql.html
"""

from __future__ import annotations

from suture.services.operations.operation import Operation

OPERATION = Operation(
    "graphql",
    "http://hl7.org/fhir/OperationDefinition/Resource-graphql",
    "The fields that a GraphQL query names.",
    ("system", "instance"),
    None,
)
