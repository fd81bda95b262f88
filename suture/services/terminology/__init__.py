"""The terminology of a site: R4's own and what is stored (https://hl7.org/fhir/R4/terminology-service.html)."""
