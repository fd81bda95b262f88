"""What Suture does for a caller: FHIR interactions and what is built on them."""
