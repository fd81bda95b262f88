"""Which format a caller asks for and sends: `_format`, Accept and Content-Type (RFC 9110, 12.5.1; FHIR R4, http 3.1.0.1.9)."""

from __future__ import annotations

from functools import lru_cache

from suture.server.route import FHIR_JSON, FHIR_XML, JSON, XML, NotAcceptable, WrongType

_NAMES = {
    "json": FHIR_JSON,
    "application/fhir+json": FHIR_JSON,
    "application/fhir json": FHIR_JSON,  # a + that was read as a space
    "application/json": JSON,
    "text/json": JSON,
    "xml": FHIR_XML,
    "application/fhir+xml": FHIR_XML,
    "application/fhir xml": FHIR_XML,
    "application/xml": XML,
    "text/xml": XML,
}
_ANY = {"*/*", "application/*"}
_READ = {name: FHIR_XML if "xml" in name else FHIR_JSON for name in _NAMES if "/" in name and " " not in name}
_MEND = "Ask for application/fhir+json or application/fhir+xml."


SPOKEN = ("", "4.0", "4.0.1")  # values of fhirVersion; no other version of FHIR is translated
_VERSIONS = {"0.5": "DSTU1", "1.0": "DSTU2", "3.0": "STU3", "4.3": "R4B", "5.0": "R5", "6.0": "R6"}


def _version(text: str) -> str:
    """The fhirVersion parameter of a media type (https://hl7.org/fhir/R4/http.html#version-parameter)."""
    found = (p.strip() for p in text.lower().split(";")[1:])
    return next((p[12:].strip('" ') for p in found if p.startswith("fhirversion=")), "")


def _require_version(text: str, refusal: type[NotAcceptable] | type[WrongType], where: str) -> None:
    """Raises for a version of FHIR that is not spoken here, and says so."""
    for part in text[:2000].split(","):
        version = _version(part)
        if version not in SPOKEN:
            name = _VERSIONS.get(version, "this version")
            raise refusal(
                f"only R4 is spoken here: there is no translation to or from {name}",
                where=where,
                mend="Ask and send with fhirVersion=4.0, or leave it out.",
            )


def pretty(query: bytes, accept: str) -> bool:
    """Whether the answer is to be indented: `_pretty=true`, or `pretty=true` behind a media type."""
    return b"_pretty=true" in query or "pretty=true" in accept.replace(" ", "")


def wanted(accept: str, format_name: str = "") -> bytes:
    """The content type of the answer; raises NotAcceptable when only other formats will do."""
    return _named(format_name) if format_name else _accepted(accept)


@lru_cache(maxsize=256)
def _named(name: str) -> bytes:
    _require_version(name, NotAcceptable, "_format")
    found = _NAMES.get(name.split(";")[0].strip().lower())
    if found is None:
        raise NotAcceptable("_format names a format that is not written here", where="_format", mend=_MEND)
    return found


@lru_cache(maxsize=256)
def _accepted(accept: str) -> bytes:
    if not accept:
        return FHIR_JSON
    found = sorted(ranges(accept), key=lambda r: -r[1])
    for name, _ in found:
        if name in _ANY:
            return FHIR_JSON
        if name in _NAMES:
            return _NAMES[name]
    if not found:
        _require_version(accept, NotAcceptable, "Accept")
    raise NotAcceptable("Accept names no format that is written here", where="Accept", mend=_MEND)


def ranges(accept: str) -> list[tuple[str, float]]:
    """The media ranges with their weights; weight 0 means never."""
    found = []
    for part in accept[:2000].split(","):
        name, *parameters = (p.strip().lower() for p in part.split(";"))
        weight = next((_weight(p[2:]) for p in parameters if p.startswith("q=")), 1.0)
        if weight > 0 and _version(part) in SPOKEN:
            found.append((name, weight))
    return found


FHIR_NAMES = frozenset(_NAMES)


def accepts(accept: str, kind: str) -> bool:
    """Whether a media type fits what is accepted; an absent Accept takes everything."""
    name = kind.split(";")[0].strip().lower()
    family = name.partition("/")[0] + "/*"
    return not accept.strip() or any(wanted in (name, family, "*/*") for wanted, _ in ranges(accept))


def is_fhir(content_type: str) -> bool:
    """Whether a body is said to be a resource."""
    return named(content_type) in _READ


def _weight(text: str) -> float:
    try:
        return min(max(float(text), 0.0), 1.0)
    except ValueError:
        return 0.0


def sent(content_type: str) -> bytes:
    """FHIR_JSON or FHIR_XML, as the body is said to be; raises WrongType for anything else."""
    name = named(content_type)
    _require_version(content_type, WrongType, "Content-Type")
    if name not in _READ:
        raise WrongType(
            "this content type is not read here" if name else "the body has no Content-Type",
            where="Content-Type",
            mend="Send Content-Type: application/fhir+json.",
        )
    return _READ[name]


def named(content_type: str) -> str:
    """The media type without its parameters."""
    return content_type.split(";")[0].strip().lower()


def check_form(content_type: str) -> None:
    """Raises WrongType unless the body is said to be a form."""
    if named(content_type) != "application/x-www-form-urlencoded":
        raise WrongType(
            "a search by POST is a form", where="Content-Type", mend="Send application/x-www-form-urlencoded."
        )
