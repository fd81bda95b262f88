"""What an installation is made of: pinned packages, the bill of materials, image and unit."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.resources import files

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import lock
from tests.docs import ROOT

LOCK = lock.LOCK.read_text()
WANTED = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
AGAIN = "run: python scripts/lock.py"


@pytest.mark.parametrize("wanted", WANTED)
def test_every_dependency_is_pinned(wanted: str) -> None:
    asked = Requirement(wanted)
    pinned = lock.pins(LOCK).get(canonicalize_name(asked.name))
    assert pinned, f"{asked.name} is not in deploy/requirements.lock; {AGAIN}"
    assert asked.specifier.contains(pinned), AGAIN


def test_every_pin_has_a_hash_and_no_place_to_fetch_from() -> None:
    blocks = re.split(r"\n(?=[a-z0-9])", LOCK.strip())
    assert [b.splitlines()[0] for b in blocks if "--hash=sha256:" not in b] == []
    assert "://" not in LOCK


def test_the_bill_of_materials_ships_and_names_every_pin() -> None:
    shipped = json.loads((files("suture") / "sbom.cdx.json").read_text())
    made = lock.bill(LOCK)
    assert (shipped["bomFormat"], shipped["specVersion"]) == ("CycloneDX", "1.6")
    assert [(c["name"], c["version"]) for c in shipped["components"]] == sorted(lock.pins(LOCK).items()), AGAIN
    assert shipped["dependencies"] == made["dependencies"], AGAIN
    refs = {c["bom-ref"] for c in shipped["components"]} | {shipped["metadata"]["component"]["bom-ref"]}
    assert {on for d in shipped["dependencies"] for on in d["dependsOn"]} <= refs


def test_the_image_takes_only_what_is_pinned_and_runs_as_nobody() -> None:
    image = (ROOT / "deploy" / "Dockerfile").read_text()
    assert "--require-hashes" in image
    assert image.index("USER suture") < image.index("ENTRYPOINT")
    assert "SUTURE_KEY_FILE=/keys/" in image  # not beside the data
    assert "curl" not in image


def test_compose_opens_nothing_to_other_machines() -> None:
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    ports = re.search(r"ports: \[(.*)\]", compose)
    assert ports
    assert all(one.strip(' "').startswith("127.0.0.1:") for one in ports[1].split(","))


@pytest.mark.parametrize("line", ["NoNewPrivileges=true", "ProtectSystem=strict", "MemorySwapMax=0", "LimitCORE=0"])
def test_the_unit_gives_away_nothing(line: str) -> None:
    assert line in (ROOT / "deploy" / "suture.service").read_text().splitlines()
