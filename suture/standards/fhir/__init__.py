"""FHIR R4, the hub of the house: https://hl7.org/fhir/R4/"""
