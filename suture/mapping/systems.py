"""Names of code systems and assigning authorities as URIs (https://terminology.hl7.org, HL7 tables 0396 and 0301)."""

from __future__ import annotations

import re
from urllib.parse import quote

from suture.mapping.context import Source

V2 = "http://terminology.hl7.org/CodeSystem/v2-"
HL7_TABLE = re.compile(r"(?:HL7|hl7)0*(\d{1,4})")
OID = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*)){2,}")
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
URI = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:[^\s|\\^`{}<>\"]+")
LOCAL = ("L", "LB", "99ZZZ")

# table 0396 -> URI, the ones met in practice
NAMES = {
    "LN": "http://loinc.org",
    "LNC": "http://loinc.org",
    "LOINC": "http://loinc.org",
    "SCT": "http://snomed.info/sct",
    "SNM": "http://snomed.info/sct",
    "SNOMED": "http://snomed.info/sct",
    "SNOMED-CT": "http://snomed.info/sct",
    "UCUM": "http://unitsofmeasure.org",
    "RXNORM": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "RXN": "http://www.nlm.nih.gov/research/umls/rxnorm",
    "NDC": "http://hl7.org/fhir/sid/ndc",
    "CVX": "http://hl7.org/fhir/sid/cvx",
    "MVX": "http://hl7.org/fhir/sid/mvx",
    "I9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9C": "http://hl7.org/fhir/sid/icd-9-cm",
    "I9CDX": "http://hl7.org/fhir/sid/icd-9-cm",
    "ICD9": "http://hl7.org/fhir/sid/icd-9-cm",
    "I10": "http://hl7.org/fhir/sid/icd-10",
    "I10C": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10CDX": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10": "http://hl7.org/fhir/sid/icd-10-cm",
    "ICD10CM": "http://hl7.org/fhir/sid/icd-10-cm",
    "I10P": "http://www.cms.gov/Medicare/Coding/ICD10",
    "I10PCS": "http://www.cms.gov/Medicare/Coding/ICD10",
    "C4": "http://www.ama-assn.org/go/cpt",
    "CPT": "http://www.ama-assn.org/go/cpt",
    "CPT4": "http://www.ama-assn.org/go/cpt",
    "CPTM": "http://www.ama-assn.org/go/cpt",
    "HCPCS": "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets",
    "HCPT": "http://www.ama-assn.org/go/cpt",
    "CDCREC": "urn:oid:2.16.840.1.113883.6.238",
    "ATC": "http://www.whocc.no/atc",
    "NUCC": "http://nucc.org/provider-taxonomy",
    "ISO3166_1": "urn:iso:std:iso:3166",
    "ISO639": "urn:ietf:bcp:47",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "UNII": "http://fdasis.nlm.nih.gov",
    "NIC": "http://www.nursingquality.org",
}  # fmt: skip


def known(name: str) -> str:
    """The URI of a code system's name as HL7 writes it; a name nobody knows stays as it is."""
    found = NAMES.get(name) or NAMES.get(name.upper())
    if found:
        return found
    table = HL7_TABLE.fullmatch(name)
    if table:
        return f"{V2}{int(table[1]):04d}"
    if OID.fullmatch(name):
        return f"urn:oid:{name}"
    return name


def coding_system(name: str, source: Source) -> tuple[str, bool]:
    """The URI of a code system's name, and whether anybody vouches for it; what is local stays the source's own."""
    told = source.coding_systems.get(name)
    if told:
        return told, True
    uri = known(name)
    if uri != name or URI.fullmatch(uri):
        return uri, True
    return f"{source.own}:code:{quote(name, safe='')}", name in LOCAL or name.startswith("99")


def authority(namespace: str, universal: str, kind: str, source: Source) -> tuple[str, bool]:
    """The system of an assigning authority (HD), and whether anybody vouches for it."""
    for name in (namespace, universal, f"{universal}^{kind}" if kind else ""):
        if name and name in source.authorities:
            return source.authorities[name], True
    if universal:
        found = _universal(universal, kind)
        if found:
            return found, True
    if namespace and (OID.fullmatch(namespace) or UUID.fullmatch(namespace)):
        return _universal(namespace, ""), True
    name = namespace or universal
    if not name:
        return source.own, True
    return f"{source.own}:{quote(name, safe='')}", False


def _universal(universal: str, kind: str) -> str:
    """The URI of a universal id, or nothing when its form does not fit its type."""
    kind = kind.upper()
    if kind in ("ISO", "OID", "") and OID.fullmatch(universal.removeprefix("urn:oid:")):
        return "urn:oid:" + universal.removeprefix("urn:oid:")
    if kind in ("UUID", "GUID", "") and UUID.fullmatch(universal.removeprefix("urn:uuid:")):
        return "urn:uuid:" + universal.removeprefix("urn:uuid:").lower()
    if kind in ("URI", "URL", "") and URI.fullmatch(universal):
        return universal
    if kind == "NPI" or universal == "NPI":
        return "http://hl7.org/fhir/sid/us-npi"
    return ""
