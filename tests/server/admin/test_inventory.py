"""The inventory says what is open, whom it talks to and what ends when, and nothing that is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import orjson
from cryptography import x509

from suture import settings as settings_of
from suture.engine import inventory
from suture.engine.inventory import InventoryView
from tests.cli.test_serve import certificate
from tests.server.admin.console import console


async def test_it_is_what_runs(tmp_path: Path) -> None:
    async with console(tmp_path) as here:
        view = (await here.http.get("/api/inventory")).json()
        assert msgspec.convert(view, InventoryView) == view
        listening = [(one.host, one.port) for one in here.server.app.engine.listeners]
        assert [(p["host"], p["port"]) for p in view["ports"] if p["protocol"] == "MLLP"] == listening
        assert [p["port"] for p in view["ports"] if p["protocol"] == "HTTP"] == [urlsplit(here.server.url).port]
        assert {p["connection"] for p in view["peers"]} == set(here.server.app.engine.project.connections)
        assert all(p["live"] for p in view["peers"])
        flows = {f["flow"]: f["connections"] for f in view["flows"]}
        assert set(flows) == set(here.server.app.engine.project.flows)
        assert ["registry"] in flows.values()
        assert "apsw-sqlite3mc" in {c["name"] for c in view["components"]}
        page = await here.page("/inventory")
        assert str(listening[0][1]) in page
        bill = (await here.http.get("/api/sbom")).json()
        assert bill["bomFormat"] == "CycloneDX"
        assert here.trail("list")[-1].type == "Inventory"


def test_the_mail_server_is_a_peer(tmp_path: Path) -> None:
    plain = settings_of.read(tmp_path, {})
    assert inventory.mail(plain) == []
    (shut,) = inventory.mail(plain.with_values(mail__host="mail.clinic.example"))
    assert (shut["address"], shut["kind"], shut["live"]) == ("mail.clinic.example:587", "smtp starttls", False)
    assert "mail.own" in shut["why"]
    lists = {"mail__own": "clinic.example", "mail__partners": "@agency.example=agency"}
    (open_,) = inventory.mail(plain.with_values(mail__host="mail.clinic.example", **lists))
    assert (open_["live"], open_["why"]) == (True, "to clinic.example, @agency.example=agency")


def test_certificates_count_their_days(tmp_path: Path) -> None:
    file, _ = certificate(tmp_path)
    ends = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
    found = inventory._certificate("HTTP listener", str(file), ends - timedelta(days=9, hours=1))
    assert (found["error"], found["days"], found["ends"]) == ("", 9, ends.date().isoformat())
    assert found["subject"] == "CN=localhost"
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    assert inventory._certificate("x", str(broken), datetime.now(UTC))["error"] == "ValueError"
    assert inventory._certificate("x", str(tmp_path / "none"), datetime.now(UTC))["error"] == "FileNotFoundError"


def test_the_bill_names_what_is_installed() -> None:
    names = {one["name"]: one["installed"] for one in inventory.components()}
    assert names["orjson"] == orjson.__version__
