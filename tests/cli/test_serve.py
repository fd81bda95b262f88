"""`suture serve`, `suture client` and `suture user` as they are typed."""

from __future__ import annotations

import json
import os
import re
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PASSWORD = "correct horse battery\n"


def suture(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "suture", *arguments, "--project", str(folder)],
        env={**os.environ, "SUTURE_KEY_FILE": str(folder / "key")}, input=typed, text=True, capture_output=True, timeout=60,
    )  # fmt: skip


@contextmanager
def served(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, subprocess.Popen[str], list[str]]]:
    """The base URL of a running server and what it said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "suture", "serve", "--port", "0", "--project", str(folder), *arguments],
        env={**os.environ, "SUTURE_KEY_FILE": str(folder / "key"), **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    said: list[str] = []
    assert process.stdout is not None
    try:
        for line in process.stdout:
            said.append(line)
            if line.startswith("Ready"):
                break
        url = next((found[1] for line in said if (found := re.search(r"(https?://\S+)/fhir$", line))), "")
        yield url, process, said
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_first_start_then_calls_then_a_graceful_stop(tmp_path: Path) -> None:
    with served(tmp_path) as (url, process, said):
        text = "".join(said)
        assert "Created the key file" in text
        link = re.search(rf"{url}/first-run/\S+", text)
        assert link
        added = suture(tmp_path, "client", "add", "lab", "--scope", "system/*.cruds")
        key = added.stdout.splitlines()[-1]
        headers = {"Authorization": f"Bearer {key}"}
        made = httpx.post(f"{url}/fhir/Patient", json={"resourceType": "Patient"}, headers=headers)
        assert made.status_code == 201
        assert httpx.get(link[0]).status_code == 200
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
        assert process.returncode == 0
        assert [json.loads(line)["status"] for line in log.splitlines()] == [201, 200]
    assert not (tmp_path / "data" / "suture.db-wal").exists()
    with served(tmp_path) as (url, process, said):
        assert "Created the key file" not in "".join(said)
        answer = httpx.get(f"{url}/fhir/Patient/{made.json()['id']}", headers=headers)
        assert answer.status_code == 200
        assert suture(tmp_path, "client", "revoke", "lab").returncode == 0


@pytest.mark.slow
def test_the_start_tells_each_door_and_each_secret_that_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    init(folder)
    (folder / "connections").mkdir(exist_ok=True)
    (folder / "connections" / "pager.yaml").write_text(
        "{suture: connection/1, id: pager, uses: http, base: 'http://127.0.0.1:9', auth: {kind: bearer, token: secret:pager-token}}"
    )
    flow = folder / "flows" / "first-feed.yaml"
    flow.write_text(flow.read_text().replace("port: 2575", "port: 0"))
    with served(tmp_path, str(folder)) as (_, _, said):
        text = "".join(said)
    assert re.search(r"^MLLP +127\.0\.0\.1:\d+  first-feed$", text, re.MULTILINE)
    assert "Missing     secret:pager-token. Run: suture secret set pager-token --connection pager\n" in text
    with served(tmp_path) as (_, _, said):
        assert "Flows       none in this folder" in "".join(said)


def init(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "suture", "init", str(folder)], check=True, capture_output=True, timeout=60)


@pytest.mark.slow
def test_one_server_per_database(tmp_path: Path) -> None:
    with served(tmp_path):
        second = suture(tmp_path, "serve", "--port", "0")
        assert second.returncode == 1
        assert "another suture serves this database" in second.stderr


@pytest.mark.slow
def test_a_reachable_address_without_tls_is_refused(tmp_path: Path) -> None:
    refused = suture(tmp_path, "serve", "--host", "0.0.0.0", "--port", "0")
    assert refused.returncode == 1
    assert "can be reached by other machines and there is no TLS certificate" in refused.stderr
    assert "--insecure" in refused.stderr


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(1)).not_valid_after(now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.slow
def test_tls_1_2_and_later_only(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    settings = {"SUTURE_HTTP_TLS_CERTIFICATE": str(cert), "SUTURE_HTTP_TLS_KEY": str(key)}
    with served(tmp_path, **settings) as (url, _, _):
        assert url.startswith("https://127.0.0.1:")
        port = int(url.rsplit(":", 1)[1])
        trust = ssl.create_default_context(cafile=str(cert))
        answer = httpx.get(f"https://localhost:{port}/health/live", verify=trust)
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        old = ssl.create_default_context(cafile=str(cert))
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises(httpx.ConnectError):
            httpx.get(f"https://localhost:{port}/health/live", verify=old)


@pytest.mark.slow
def test_clients_and_users_from_the_command_line(tmp_path: Path) -> None:
    patient = tmp_path / "p.json"
    patient.write_text('{"resourceType": "Patient", "id": "p1"}')
    assert suture(tmp_path, "import", str(patient)).returncode == 0
    added = suture(
        tmp_path, "client", "add", "app", "--scope", "patient/*.read", "--patient", "p1", "--expires", "30d", "--json"
    )
    assert json.loads(added.stdout)["scopes"] == ["patient/*.rs"]
    wrong = suture(tmp_path, "client", "add", "b", "--scope", "everything")
    assert wrong.returncode == 1
    assert "not a SMART scope" in wrong.stderr
    assert "30x is not" not in suture(tmp_path, "client", "add", "c", "--scope", "user/*.r", "--expires", "30x").stdout
    (row,) = json.loads(suture(tmp_path, "client", "list", "--json").stdout)
    assert (row["name"], row["patient"], row["state"]) == ("app", "p1", "active")
    assert json.loads(added.stdout)["key"] not in suture(tmp_path, "client", "list").stdout
    assert suture(tmp_path, "client", "revoke", "none").returncode == 1
    assert suture(tmp_path, "user", "add", "ada", "--role", "reader", typed=PASSWORD).returncode == 0
    assert suture(tmp_path, "user", "reset-password", "ada", typed="another long password\n").returncode == 0
    assert suture(tmp_path, "user", "add", "eve", typed="short\n").returncode == 1
    assert suture(tmp_path, "user", "add", "eve", typed="").returncode == 1
    (user,) = json.loads(suture(tmp_path, "user", "list", "--json").stdout)
    assert (user["login"], user["roles"]) == ("ada", ["reader"])


@pytest.mark.slow
def test_help_shows_an_example(tmp_path: Path) -> None:
    for command in (
        ["serve"],
        ["import"],
        ["client", "add"],
        ["client", "list"],
        ["client", "revoke"],
        ["user", "add"],
    ):
        found = subprocess.run(
            [sys.executable, "-m", "suture", *command, "--help"], capture_output=True, text=True, timeout=60
        )
        assert found.returncode == 0
        assert "Example:" in found.stdout


@pytest.mark.slow
def test_an_import_beside_a_running_server(tmp_path: Path) -> None:
    file = tmp_path / "in.ndjson"
    rows = [{"resourceType": "Patient", "id": f"p{n}", "name": [{"family": f"Family{n}"}]} for n in range(3000)]
    file.write_text("\n".join(json.dumps(row) for row in rows))
    with served(tmp_path) as (url, _, _):
        key = suture(tmp_path, "client", "add", "lab", "--scope", "system/*.cruds").stdout.splitlines()[-1]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30) as http:
            assert http.put("/fhir/Patient/p1", json=rows[1]).status_code == 201
            importing = subprocess.Popen(
                [sys.executable, "-m", "suture", "import", str(file), "--project", str(tmp_path), "--json"],
                env={**os.environ, "SUTURE_KEY_FILE": str(tmp_path / "key")}, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            written = 0
            while importing.poll() is None:
                written += 1
                body = {"resourceType": "Patient", "id": f"own{written}", "active": True}
                assert http.put(f"/fhir/Patient/own{written}", json=body).status_code == 201
            summary = json.loads(importing.communicate()[0])
            assert (summary["created"], summary["updated"], summary["failed"]) == (2999, 1, 0)
            total = http.get("/fhir/Patient?_summary=count").json()["total"]
            assert total == 3000 + written
            found = http.get("/fhir/Patient?family=Family2999").json()
            assert [e["resource"]["id"] for e in found["entry"]] == ["p2999"]
    assert suture(tmp_path, "verify").returncode == 0
