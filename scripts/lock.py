"""Pins what Suture runs on and writes the bill of materials: deploy/requirements.lock, suture/sbom.cdx.json.

Run after a change of dependencies: python scripts/lock.py (needs uv). CycloneDX 1.6: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
import uuid
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "deploy" / "requirements.lock"
SBOM = ROOT / "suture" / "sbom.cdx.json"
_PIN = re.compile(r"^([A-Za-z0-9_.\-]+)==([^\s;]+)")
_WORDS = re.compile(r"^[A-Za-z0-9.\-+ ()]{2,60}$")


def pins(text: str) -> dict[str, str]:
    """Package -> version of a lock file."""
    return {found[1].lower(): found[2] for line in text.splitlines() if (found := _PIN.match(line))}


def needs(text: str) -> dict[str, list[str]]:
    """Package -> who asked for it, from the remarks of a lock file."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in text.splitlines():
        if pin := _PIN.match(line):
            name = pin[1].lower()
            found[name] = []
        elif line.lstrip().startswith("#"):
            word = line.lstrip(" #").removeprefix("via").strip().split(" ")[0].lower()
            found[name] += [word] if word else []
    return found


def bill(text: str) -> dict[str, Any]:
    """The bill of materials of a lock file."""
    named = pins(text)
    refs = {name: f"pkg:pypi/{name}@{version}" for name, version in named.items()} | {"suture": "pkg:pypi/suture"}
    depends: dict[str, list[str]] = {ref: [] for ref in refs.values()}
    for name, askers in needs(text).items():
        for asker in askers:
            depends[refs[asker]].append(refs[name])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": refs["suture"], "name": "suture", "purl": refs["suture"],
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [_component(name, version, refs[name]) for name, version in sorted(named.items())],
        "dependencies": [{"ref": ref, "dependsOn": sorted(set(on))} for ref, on in sorted(depends.items())],
    }  # fmt: skip


def _component(name: str, version: str, ref: str) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "library", "bom-ref": ref, "name": name, "version": version, "purl": ref}
    licence = _licence(name)
    return made | ({"licenses": [licence]} if licence else {})


def _licence(name: str) -> dict[str, Any] | None:
    try:
        about = metadata(name)
    except PackageNotFoundError:
        return None
    if about.get("License-Expression"):
        return {"expression": about["License-Expression"]}
    said = [c for c in about.get_all("Classifier") or [] if c.startswith("License :: OSI Approved :: ")]
    classified = [c.rpartition(" :: ")[2] for c in said]
    written = classified[0] if classified else str(about.get("License") or "")
    return {"license": {"name": written}} if _WORDS.match(written) else None


def _compile() -> str:
    words = ["uv", "pip", "compile", "-q", "pyproject.toml", "--generate-hashes", "--universal", "--no-header"]
    done = subprocess.run([*words, "--python-version", "3.11"], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.replace("suture (pyproject.toml)", "suture")


def main() -> None:
    text = _compile()
    LOCK.write_text(text)
    SBOM.write_text(json.dumps(bill(text), indent=1) + "\n")
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    sys.stdout.write(f"{len(wanted)} dependencies, {len(pins(text))} packages pinned\n")


if __name__ == "__main__":
    main()
