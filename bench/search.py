"""Searches by CPU: `python -m bench.search [RESOURCES [FOLDER]] [--text]` (20,000 resources unless told; FOLDER keeps the database;
`--text` keeps full text too).

The peers' figures are CPU per simple search as measured with the same kind of data on such a machine: Medplum 5.1 (Node,
PostgreSQL, Redis) 3.3 ms, WSO2 FHIR server (Go, PostgreSQL) 2.9 ms; ours is without HTTP.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import orjson

from suture.settings import read as read_settings
from suture.standards.fhir import search
from suture.standards.fhir.index import extract
from suture.store import bulk
from suture.store import search as store_search
from suture.store.database import Database

MEDPLUM_MS, WSO2_MS = 3.3, 2.9
PER_PATIENT = 50  # resources: the patient, encounters, conditions, observations
SECONDS = 0.4
NAMES = ("Stone", "River", "Field", "Hill", "Woods", "Moor", "Lake", "Müller", "García", "Nguyen", "O'Brien", "Smith")
CODES = [f"{1000 + n}-{n % 10}" for n in range(200)]
LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


def resources(count: int) -> Iterator[dict[str, Any]]:
    """A made-up population in the order in which it would be written."""
    random = Random(1)
    for number in range(max(1, count // PER_PATIENT)):
        yield patient(random, number)
        visits = [encounter(random, number, n) for n in range(6)]
        yield from visits
        yield from (condition(random, number, n) for n in range(3))
        for n in range(PER_PATIENT - 10):
            visit = random.choice(visits)
            yield observation(random, number, n, visit)


def patient(random: Random, number: int) -> dict[str, Any]:
    name = [
        {
            "family": random.choice(NAMES) + random.choice(("", "", "son", "-Lee")),
            "given": [random.choice(("Ann", "Bo", "Zoë", "Max"))],
        }
    ]
    birth = f"{random.randrange(1930, 2024)}-{random.randrange(1, 13):02d}-{random.randrange(1, 28):02d}"
    mrn = [{"system": "urn:mrn", "value": f"{number:08d}"}]
    gender = random.choice(("male", "female"))
    return {
        "resourceType": "Patient",
        "id": f"p{number}",
        "identifier": mrn,
        "name": name,
        "birthDate": birth,
        "gender": gender,
    }


def encounter(random: Random, patient: int, number: int) -> dict[str, Any]:
    day = f"{random.randrange(2005, 2025)}-{random.randrange(1, 13):02d}-{random.randrange(1, 28):02d}"
    return {
        "resourceType": "Encounter",
        "id": f"e{patient}-{number}",
        "status": "finished",
        "class": {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
            "code": random.choice(("AMB", "AMB", "IMP")),
        },
        "subject": {"reference": f"Patient/p{patient}"},
        "period": {"start": f"{day}T08:{random.randrange(60):02d}:00Z", "end": f"{day}T10:00:00Z"},
    }


def condition(random: Random, patient: int, number: int) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "id": f"c{patient}-{number}",
        "clinicalStatus": {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": random.choice(("active", "resolved"))}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": str(10_000 + int(random.paretovariate(1)))}]},
        "subject": {"reference": f"Patient/p{patient}"},
        "onsetDateTime": f"{random.randrange(2005, 2025)}-{random.randrange(1, 13):02d}-{random.randrange(1, 28):02d}",
    }  # fmt: skip


def observation(random: Random, patient: int, number: int, visit: dict[str, Any]) -> dict[str, Any]:
    start = visit["period"]["start"]
    code = random.choice(CODES)
    return {
        "resourceType": "Observation",
        "id": f"o{patient}-{number}",
        "status": "final",
        "category": [{"coding": [{"system": CATEGORY, "code": random.choice(("laboratory", "laboratory", "vital-signs"))}]}],
        "code": {"coding": [{"system": LOINC, "code": code, "display": f"Analyte {code} in serum or plasma"}]},
        "subject": {"reference": f"Patient/p{patient}"},
        "encounter": {"reference": f"Encounter/{visit['id']}"},
        "effectiveDateTime": f"{start[:-3]}{number:02d}Z",
        "valueQuantity": {"value": random.randrange(2000) / 10, "unit": "mmol/L", "system": UCUM, "code": "mmol/L"},
        "note": [{"text": "Made up for a benchmark; as long as the notes of a laboratory usually are, give or take a line."}],
    }  # fmt: skip


PATIENTS = ",".join(f"p{n}" for n in range(500))
QUERIES = (
    ("read by identifier", "Patient", "identifier=urn:mrn|00000007"),
    ("patient + code", "Observation", "patient=p7&code=http://loinc.org|1007-7"),
    ("patient + category + date", "Observation", "patient=p7&category=laboratory&date=ge2010"),
    ("patient, sorted by date", "Observation", "patient=p7&_sort=-date"),
    ("type, newest first", "Observation", "_sort=-date"),
    ("type, oldest first", "Observation", "_sort=date"),
    ("code, newest first", "Observation", "code=http://loinc.org|1010-0&_sort=-date"),
    ("category since a date, oldest first", "Observation", "category=laboratory&date=ge2024-06&_sort=date"),
    ("three codes, newest first", "Observation", "code=1010-0,1011-1,1012-2&_sort=-date"),
    ("code + value, in one", "Observation", "code-value-quantity=http://loinc.org|1010-0$gt199"),
    ("code and value, apart", "Observation", "code=http://loinc.org|1010-0&value-quantity=gt199"),
    ("name", "Patient", "name=garcia"),
    ("name + birth date", "Patient", "name=smith&birthdate=1980"),
    ("chain: patient's name", "Observation", "subject:Patient.name=mullerson&code=1010-0"),
    ("chain over many targets", "Observation", "subject:Patient.gender=male&code=1010-0"),
    ("_has", "Patient", "_has:Observation:patient:code-value-quantity=1010-0$gt199"),
    ("sorted by another date", "Encounter", "patient=p7&_sort=-_lastUpdated"),
    ("sorted by a code", "Condition", "patient=p7&_sort=code"),
    ("changed last", "Observation", "_sort=-_lastUpdated"),
    ("a type sorted by a code", "Observation", "status=final&_sort=code"),
    ("several types of one patient", "", "_type=Observation,Condition&patient=p7"),
    ("500 codes of 500 patients", "Observation", f"code={','.join((CODES * 3)[:500])}&patient={PATIENTS}"),
    ("chain to 500 patients", "Observation", f"subject:Patient._id={PATIENTS}"),
    ("_has over all", "Patient", "_has:Observation:patient:status=final"),
    ("_has of _has", "Patient", "_has:Encounter:patient:_has:Observation:encounter:code=1007-7"),
)


WORDS = (
    ("full text: a family name", "Patient", "_content=stone"),
    ("full text: a code, newest first", "Observation", "_content=1007"),
)


def main() -> None:
    given = [word for word in sys.argv[1:] if not word.startswith("--")]
    text = "all" if "--text" in sys.argv else "off"
    size = int(given[0]) if given else 20_000
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given[1]) if len(given) > 1 else Path(temporary)
        database = opened(folder, text)
        if not database.read.one("SELECT 1 FROM res LIMIT 1"):
            fill(database, size)
        measure(database, QUERIES + (WORDS if text == "all" else ()))
        database.close()


def opened(folder: Path, text: str) -> Database:
    folder.mkdir(parents=True, exist_ok=True)
    settings = read_settings(folder, {"SUTURE_KEY_FILE": str(folder / "key"), "SUTURE_SEARCH_TEXT": text})
    return Database.open(settings, serving=True)


def fill(database: Database, size: int) -> None:
    start, raw = time.process_time(), 0

    def items() -> Iterator[bulk.Item]:
        nonlocal raw
        for resource in resources(size):
            body = orjson.dumps(resource)
            raw += len(body)
            yield bulk.Item(resource["resourceType"], resource["id"], body, extract(resource))

    done = bulk.load(database, items()).total()
    took = time.process_time() - start
    print(f"{done} resources loaded: {took / done * 1e6:.0f} us CPU each, {raw / done:.0f} bytes raw each")
    pages = database.read.one("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size")
    print(f"database: {pages[0] / done:.0f} bytes each ({pages[0] / raw:.2f} of the raw JSON)\n" if pages else "")


def measure(database: Database, queries: Sequence[tuple[str, str, str]]) -> None:
    print(
        f"{'search (page of 50)':<40}{'us CPU':>9}{'/s':>9}{'Medplum/':>10}{'WSO2/':>8}{'rows':>6}{'count us':>11}{'matches':>9}"
    )
    for label, type, text in queries:
        pairs = [(k, v) for k, _, v in (part.partition("=") for part in text.split("&"))]
        query = search.parse(type, pairs)
        rows = len(store_search.find(database.read, query).rows)
        micros = cpu(lambda: store_search.find(database.read, search.parse(type, pairs)))
        start = time.process_time()
        total = store_search.count(database.read, query)
        counted = (time.process_time() - start) * 1e6
        print(
            f"{label:<40}{micros:>9.0f}{1e6 / micros:>9.0f}{MEDPLUM_MS * 1e3 / micros:>9.0f}x{WSO2_MS * 1e3 / micros:>7.0f}x{rows:>6}{counted:>11.0f}{total:>9}"
        )


def cpu(call: Any) -> float:
    """Microseconds of CPU a call takes."""
    call()
    start, count, end = time.process_time(), 0, time.perf_counter() + SECONDS
    while time.perf_counter() < end or count < 2:
        call()
        count += 1
    return (time.process_time() - start) / count * 1e6


if __name__ == "__main__":
    main()
