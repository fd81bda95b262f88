"""The web side: the table of routes, the ASGI shell and the REST face of FHIR."""
