"""Suture joins health systems: feeds and EHR APIs flow into one FHIR R4 chart and out again."""

__version__ = "0.1.0"
