"""Which files an import is to fetch: as a request names them, and as the manifest of somebody else's export does.

https://github.com/smart-on-fhir/bulk-import/blob/master/import-manifest.md and import-pnp.md (exportType static) ·
https://hl7.org/fhir/uv/bulkdata/STU2/export.html#response---complete-status
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from suture.access.caller import Caller
from suture.errors import Invalid
from suture.services.bulk.request import FORMATS
from suture.standards.fhir.definitions import RESOURCE_TYPES
from suture.store.import_files import File
from suture.store.uploads import Job

INPUT, DELETED, MANIFEST = "input", "deleted", "manifest"
MOST = 10_000  # files of one import
_NAMES = ("inputFormat", "inputSource", "storageDetail", "input", "exportUrl", "exportType")


class Input(msgspec.Struct, frozen=True):
    """One file: where it lies, of which type its lines are ('' for any), and `where` a message says it was named."""

    url: str
    type: str = ""
    kind: str = INPUT
    where: str = ""


class Sources(msgspec.Struct, frozen=True):
    """What is to be fetched, and the server it comes from as the sender names it."""

    inputs: tuple[Input, ...]
    source: str = ""


class Asked(msgspec.Struct, frozen=True):
    """Who asked for an import and where, and the server it comes from as the sender names it."""

    url: str
    caller: Caller
    source: str = ""


_ASKED, _INPUT = msgspec.json.Decoder(Asked), msgspec.json.Decoder(Input)


def written(asked: Asked | Input) -> bytes:
    """As the store keeps it."""
    return msgspec.json.encode(asked)


def asked_of(job: Job) -> Asked:
    return _ASKED.decode(job.asked)


def input_of(file: File) -> Input:
    return _INPUT.decode(file.asked)


def read(body: Any) -> Sources:
    """Reads a Parameters resource or the JSON of the proposal; raises Invalid with the place."""
    if not isinstance(body, dict):
        raise Invalid("not an object", where="body", mend="Send a Parameters resource, or a manifest.")
    given = _of_parameters(body) if body.get("resourceType") == "Parameters" else {k: _list(v) for k, v in body.items()}
    for name in given:
        if name not in _NAMES:
            raise Invalid("$import has no such parameter", where=name[:100], mend=f"It knows: {', '.join(_NAMES)}.")
    _require_format(given)
    source = _one(given, "inputSource")
    if bool(given.get("input")) == bool(given.get("exportUrl")):
        raise Invalid("there is nothing to fetch", where="input", mend="Send input (type and url), or exportUrl.")
    if len(given.get("input", [])) > MOST:
        raise Invalid(f"more than {MOST} files", where="input", mend="Import them in parts.")
    return Sources(tuple(_exported(given) if given.get("exportUrl") else _inputs(given["input"])), source)


def _require_format(given: dict[str, list[Any]]) -> None:
    if _one(given, "inputFormat") not in ("", *FORMATS):
        raise Invalid("only NDJSON is imported", where="inputFormat", mend=f"One of {', '.join(FORMATS)}.")
    for detail in given.get("storageDetail", []):
        type = detail.get("type") if isinstance(detail, dict) else None
        if type not in ("https", ["https"]) or len(detail) > 1:
            raise Invalid(
                "files are fetched from plain addresses", where="storageDetail", mend='Send {"type": "https"}.'
            )


def _exported(given: dict[str, list[Any]]) -> Iterator[Input]:
    if _one(given, "exportType") != "static":
        raise Invalid(
            "only exports that are done are fetched", where="exportType", mend="Send exportType 'static', and as "
            "exportUrl the address of the manifest.",
        )  # fmt: skip
    yield Input(_one(given, "exportUrl"), "", MANIFEST, "exportUrl")


def _inputs(rows: list[Any]) -> Iterator[Input]:
    for at, row in enumerate(rows):
        where = f"input[{at}]"
        if not isinstance(row, dict):
            raise Invalid("an input has a type and a url", where=where, mend='Write {"type": …, "url": …}.')
        parts = {name: _list(value) for name, value in row.items()}
        type, url = _one(parts, "type", where), _one(parts, "url", where)
        if type not in RESOURCE_TYPES:
            raise Invalid("R4 has no such resource type", where=f"{where}.type", mend="/fhir/metadata lists the types.")
        yield Input(url, type, INPUT, where)


def of_manifest(manifest: Any) -> list[Input]:
    """The files of an export that is done, and the manifest that follows this one; raises Invalid with the place."""
    if not isinstance(manifest, dict) or not isinstance(manifest.get("output"), list):
        raise Invalid("the address leads to no manifest", where="output", mend="Name the manifest of an export.")
    if manifest.get("requiresAccessToken"):
        raise Invalid(
            "the files of this manifest need a token", where="requiresAccessToken", mend="Fetch them and send each to "
            "$import, or make the export with addresses that need none.",
        )  # fmt: skip
    found = [*_files(manifest, "output", INPUT), *_files(manifest, "deleted", DELETED), *_next(manifest)]
    if len(found) > MOST:
        raise Invalid(f"more than {MOST} files", where="output", mend="Export them in parts.")
    return found


def _files(manifest: dict[str, Any], name: str, kind: str) -> Iterator[Input]:
    rows = manifest.get(name) or []
    if not isinstance(rows, list):
        raise Invalid("must be a list", where=name)
    for at, row in enumerate(rows):
        where = f"{name}[{at}]"
        if not isinstance(row, dict) or not isinstance(row.get("url"), str):
            raise Invalid("a file has a url", where=where)
        type = row.get("type", "")
        if not isinstance(type, str) or (type and type not in RESOURCE_TYPES):
            raise Invalid("R4 has no such resource type", where=f"{where}.type")
        organized = manifest.get("outputOrganizedBy")
        yield Input(row["url"], "" if organized or kind == DELETED else type, kind, where)


def _next(manifest: dict[str, Any]) -> Iterator[Input]:
    for row in _list(manifest.get("link", [])):
        if isinstance(row, dict) and row.get("relation") == "next" and isinstance(row.get("url"), str):
            yield Input(row["url"], "", MANIFEST, "link")


def _of_parameters(resource: dict[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for at, row in enumerate(_list(resource.get("parameter", []))):
        name, value = _parameter(row, f"Parameters.parameter[{at}]")
        found.setdefault(name, []).append(value)
    return found


def _parameter(row: Any, where: str) -> tuple[str, Any]:
    """A value, or the parts as an object; parts have no parts here."""
    name = row.get("name") if isinstance(row, dict) else None
    if not isinstance(name, str):
        raise Invalid("a parameter needs a name", where=where, mend='Write {"name": …, "valueUri": …}.')
    if "part" in row:
        parts = [one for one in _list(row["part"]) if isinstance(one, dict)]
        return name, {str(one.get("name")): _value(one, where) for one in parts}
    return name, _value(row, where)


def _value(row: dict[str, Any], where: str) -> Any:
    values = [value for key, value in row.items() if key.startswith("value")]
    if len(values) != 1 or not isinstance(values[0], str):
        raise Invalid("a parameter has one value", where=where, mend='Write {"name": …, "valueUri": …}.')
    return values[0]


def _one(given: dict[str, list[Any]], name: str, where: str = "") -> str:
    values = given.get(name, [])
    if len(values) > 1 or (values and not isinstance(values[0], str)):
        raise Invalid("one text", where=f"{where}.{name}" if where else name, mend="Send it once.")
    if not values and where:
        raise Invalid("missing", where=f"{where}.{name}", mend="An input has a type and a url.")
    return str(values[0]) if values else ""


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
