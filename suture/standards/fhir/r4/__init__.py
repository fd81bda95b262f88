"""The facts of FHIR R4 in compact form, made by scripts/build_r4.py from the CC0 core package: https://hl7.org/fhir/R4/"""
