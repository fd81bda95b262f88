"""$graphql: a caller names the fields of resources, their references and searches (https://hl7.org/fhir/R4/graphql.html)."""
