"""Synthea's people go in without an error, and US Core's searches find what a plain walk over the files finds."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import zstandard

from suture.cli import main
from tests import public
from tests.server.running import Running, serving

FILES, PATIENTS = 40, 6
Resource = dict[str, Any]
Oracle = Callable[[Resource], bool]


def unpack(target: Path) -> None:
    """The first files of the public set."""
    source = public.path("smart-synthea-r4-615patients.tar.zst")
    target.mkdir()
    with (
        source.open("rb") as raw,
        zstandard.ZstdDecompressor().stream_reader(raw) as plain,
        tarfile.open(fileobj=plain, mode="r|") as archive,
    ):
        files = (archive.extractfile(member) for member in archive if member.name.endswith(".json"))
        for number, stream in enumerate(islice(files, FILES)):
            assert stream is not None
            (target / f"{number}.json").write_bytes(stream.read())


def everything(folder: Path) -> dict[tuple[str, str], Resource]:
    """Every resource of the files by type and id, with references as the import makes them."""
    found: dict[tuple[str, str], Resource] = {}
    for file in folder.iterdir():
        text = file.read_text(encoding="utf-8")
        bundle = json.loads(text)
        for entry in bundle["entry"]:
            resource = entry["resource"]
            found[resource["resourceType"], resource["id"]] = resource
    place = {f"urn:uuid:{id}": f"{kind}/{id}" for kind, id in found}
    text = re.sub(r'"(urn:uuid:[^"]+)"', lambda m: json.dumps(place.get(m[1], m[1])), json.dumps(list(found.values())))
    return {(r["resourceType"], r["id"]): r for r in json.loads(text)}


# --- a plain reading of the resources


def about(resource: Resource) -> str:
    return str((resource.get("subject") or resource.get("patient") or {}).get("reference", ""))


def codes(value: Any) -> set[str]:
    concepts = value if isinstance(value, list) else [value] if value else []
    return {coding["code"] for concept in concepts for coding in concept.get("coding", [])}


def span(resource: Resource) -> tuple[datetime, datetime] | None:
    """When it was: [low, high)."""
    for name in ("effective", "performed", "occurrence"):
        for kind in ("DateTime", "Period"):
            if f"{name}{kind}" in resource:
                return _span(resource[f"{name}{kind}"])
    return _span(resource["period"]) if "period" in resource else None


def _span(value: Any) -> tuple[datetime, datetime]:
    if isinstance(value, str):
        return _moment(value), _moment(value) + timedelta(seconds=0 if "." in value else 1)
    last = value.get("end")
    return _moment(value["start"]), _span(last)[1] if last else datetime.max.replace(tzinfo=UTC)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


PREFIXES: dict[str, Callable[[datetime, datetime, datetime, datetime], bool]] = {
    "gt": lambda low, high, begin, end: high > end,
    "lt": lambda low, high, begin, end: low < begin,
    "ge": lambda low, high, begin, end: high > end or (begin <= low and high <= end),
    "le": lambda low, high, begin, end: low < begin or (begin <= low and high <= end),
    "eq": lambda low, high, begin, end: begin <= low and high <= end,
}


def on(prefix: str, day: datetime) -> Oracle:
    """Whether it was before, at or after a day."""

    def holds(resource: Resource) -> bool:
        found = span(resource)
        return found is not None and PREFIXES[prefix](*found, day, day + timedelta(days=1))

    return holds


def has(element: str, code: str) -> Oracle:
    return lambda r: (
        code in codes(r.get(element)) if isinstance(r.get(element), dict | list) else r.get(element) == code
    )


def of(patient: str) -> Oracle:
    return lambda r: about(r) == f"Patient/{patient}"


def called(start: str) -> Oracle:
    """Whether a part of a name begins so."""
    return lambda r: any(p.startswith(start) for n in r["name"] for p in [n.get("family", ""), *n.get("given", [])])


def identified(value: str) -> Oracle:
    return lambda r: any(i["value"] == value for i in r["identifier"])


# type -> the parameters US Core asks for beside `patient`, and the element each looks at
CODED = {
    "AllergyIntolerance": {}, "CarePlan": {"category": "category"}, "Condition": {"category": "category", "code": "code"},
    "DiagnosticReport": {"category": "category", "code": "code"}, "Encounter": {}, "Goal": {}, "Immunization": {},
    "MedicationRequest": {"intent": "intent", "status": "status"}, "Observation": {"category": "category", "code": "code"},
    "Procedure": {"code": "code"},
}  # fmt: skip
DATED = ("DiagnosticReport", "Encounter", "Immunization", "Observation", "Procedure")
Question = tuple[str, dict[str, str], list[Oracle]]  # type, parameters, what must hold for each row


def questions(found: dict[tuple[str, str], Resource]) -> Iterator[Question]:
    patients = sorted(id for kind, id in found if kind == "Patient")[:PATIENTS]
    for kind, elements in CODED.items():
        for id in patients:
            mine = of(id)
            rows = [r for (k, _), r in found.items() if k == kind and mine(r)]
            yield kind, {"patient": id}, [mine]
            yield kind, {"patient": f"Patient/{id}"}, [mine]
            for name, element in elements.items():
                plain = name in ("intent", "status")
                values = {v for r in rows for v in ({r[element]} if plain else codes(r.get(element)))}
                for value in sorted(values)[:3]:
                    yield kind, {"patient": id, name: value}, [mine, has(element, value)]
            if kind in DATED:
                yield from dated(kind, id, rows)
    for id in patients:
        yield from person(found["Patient", id])
    for kind in ("Organization", "Practitioner"):
        value = next(r for (k, _), r in sorted(found.items()) if k == kind)["identifier"][0]["value"]
        yield kind, {"identifier": value}, [identified(value)]


def dated(kind: str, id: str, rows: list[Resource]) -> Iterator[Question]:
    spans = sorted(s for r in rows if (s := span(r)))
    for low, _ in spans[:: max(1, len(spans) // 2)]:
        day = low.replace(hour=0, minute=0, second=0, microsecond=0)
        for prefix in PREFIXES:
            yield kind, {"patient": id, "date": f"{prefix}{day:%Y-%m-%d}"}, [of(id), on(prefix, day)]


def person(patient: Resource) -> Iterator[Question]:
    family, birth, sex = patient["name"][0]["family"], patient["birthDate"], patient["gender"]
    number, id = patient["identifier"][0], patient["id"]
    yield "Patient", {"_id": id}, [lambda r: r["id"] == id]
    yield "Patient", {"name": family}, [called(family)]
    yield "Patient", {"name": family, "gender": sex}, [called(family), has("gender", sex)]
    yield "Patient", {"name": family, "birthdate": birth}, [called(family), has("birthDate", birth)]
    yield "Patient", {"identifier": f"{number['system']}|{number['value']}"}, [identified(number["value"])]


async def ids(server: Running, kind: str, pairs: dict[str, str]) -> Counter[str]:
    """The ids of all pages."""
    found: Counter[str] = Counter()
    answer = await server.http.get(f"/fhir/{kind}", params={**pairs, "_count": "40"})
    while True:
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        found.update(e["resource"]["id"] for e in bundle.get("entry", []))
        following = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), None)
        if following is None:
            return found
        answer = await server.http.get(following)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_synthea(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    unpack(tmp_path / "files")
    found = everything(tmp_path / "files")
    monkeypatch.setenv("SUTURE_KEY_FILE", str(tmp_path / "keys" / "test.key"))
    with pytest.raises(SystemExit) as stopped:
        main(["import", str(tmp_path / "files"), "--project", str(tmp_path), "--json"])
    summary = json.loads(capsys.readouterr().out)
    assert (stopped.value.code or 0, summary["failed"], summary["faults"]) == (0, 0, [])
    assert summary["created"] == len(found)
    async with serving(tmp_path) as server:
        for kind, count in Counter(kind for kind, _ in found).items():
            answer = await server.http.get(f"/fhir/{kind}?_summary=count")
            assert answer.json()["total"] == count, kind
        asked, full, wrong = 0, 0, []
        for kind, pairs, oracles in questions(found):
            wanted = Counter(id for (k, id), r in found.items() if k == kind and all(o(r) for o in oracles))
            asked, full = asked + 1, full + bool(wanted)
            if await ids(server, kind, pairs) != wanted:
                wrong.append((kind, pairs))
        assert wrong == []
        assert asked > 400
        assert full > 250
