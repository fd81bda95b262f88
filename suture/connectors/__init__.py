"""The doors to other systems: MLLP, HTTP, FHIR servers, files; nothing above this floor opens a socket of its own."""
