"""Code systems, value sets and concept maps as rules, apart from where they are kept (https://hl7.org/fhir/R4/terminology-module.html)."""
