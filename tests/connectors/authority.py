"""An ACME authority for tests (RFC 8555): it asks the challenge's address as a real one does, and signs what was proved."""

from __future__ import annotations

import base64
import json
import secrets
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from tests.certificates import issue


class Authority:
    """`url` is its directory; `asks` the port where it looks for proofs; `refuse` makes it say no."""

    def __init__(self, asks: int) -> None:
        self.asks = asks
        self.refuse = False
        self.root = issue("authority")
        self.issued: list[x509.Certificate] = []
        self.accounts: dict[str, str] = {}
        self.orders: dict[str, dict[str, Any]] = {}
        self.nonces: set[str] = set()
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

            def do_GET(self) -> None:
                self._send(200, authority.directory())

            def do_HEAD(self) -> None:
                self._send(200, None)

            def do_POST(self) -> None:
                signed = json.loads(self.rfile.read(int(self.headers["content-length"])))
                head = json.loads(_raw(signed["protected"]))
                payload = json.loads(_raw(signed["payload"]) or b"null") if signed["payload"] else None
                if head["nonce"] not in authority.nonces:
                    self._send(400, {"type": "urn:ietf:params:acme:error:badNonce", "detail": "nonce"})
                    return
                authority.nonces.discard(head["nonce"])
                self._send(*authority.answer(self.path, head, payload))

            def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
                nonce = secrets.token_urlsafe(8)
                authority.nonces.add(nonce)
                self.send_response(status)
                for name, value in {"Replay-Nonce": nonce, **(headers or {})}.items():
                    self.send_header(name, value)
                kind = "application/problem+json" if status >= 400 else "application/json"
                self.send_header(
                    "Content-Type", kind if not isinstance(body, bytes) else "application/pem-certificate-chain"
                )
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.base}/directory"

    def __enter__(self) -> Authority:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def directory(self) -> dict[str, str]:
        return {
            name: f"{self.base}/{name}" for name in ("newNonce", "newAccount", "newOrder", "revokeCert", "keyChange")
        }

    def answer(self, path: str, head: dict[str, Any], payload: Any) -> tuple[int, Any, dict[str, str]]:
        _, what, *rest = path.split("/")
        if what == "newAccount":
            return self._account(head)
        if what == "newOrder":
            return self._order(payload)
        if what == "account":
            return 200, {"status": "valid"}, {}
        order = self.orders[rest[0]]
        if what == "authz":
            return 200, order["authz"], {}
        if what == "challenge":
            self._prove(order, next(key for key in self.accounts))
            return 200, order["authz"]["challenges"][0], {"Link": f'<{self.base}/authz/{rest[0]}>;rel="up"'}
        if what == "finalize":
            order["order"] |= {"status": "valid", "certificate": f"{self.base}/certificate/{rest[0]}"}
            order["chain"] = self._sign(_raw(payload["csr"]))
        if what == "certificate":
            return 200, order["chain"], {}
        return 200, order["order"], {"Location": f"{self.base}/order/{rest[0]}"}

    def _account(self, head: dict[str, Any]) -> tuple[int, Any, dict[str, str]]:
        thumb = _thumbprint(head["jwk"])
        known = thumb in self.accounts
        self.accounts.setdefault(thumb, f"{self.base}/account/{len(self.accounts)}")
        return (200 if known else 201), {"status": "valid"}, {"Location": self.accounts[thumb]}

    def _order(self, payload: Any) -> tuple[int, Any, dict[str, str]]:
        if self.refuse:
            return 429, {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "patient Zyxwvut"}, {}
        id, token, name = secrets.token_hex(4), secrets.token_urlsafe(16), payload["identifiers"][0]
        challenge = {"type": "http-01", "url": f"{self.base}/challenge/{id}", "token": token, "status": "pending"}
        authz = {"identifier": name, "status": "pending", "challenges": [challenge]}
        order = {
            "status": "pending", "identifiers": payload["identifiers"], "authorizations": [f"{self.base}/authz/{id}"],
            "finalize": f"{self.base}/finalize/{id}",
        }  # fmt: skip
        self.orders[id] = {"authz": authz, "order": order, "token": token}
        return 201, order, {"Location": f"{self.base}/order/{id}"}

    def _prove(self, order: dict[str, Any], thumb: str) -> None:
        url = f"http://127.0.0.1:{self.asks}/.well-known/acme-challenge/{order['token']}"
        with urllib.request.urlopen(url, timeout=5) as found:
            good = found.read().decode() == f"{order['token']}.{thumb}"
        state = "valid" if good else "invalid"
        order["authz"]["status"] = order["authz"]["challenges"][0]["status"] = state
        order["order"]["status"] = "ready" if good else "invalid"

    def _sign(self, der: bytes) -> bytes:
        request = x509.load_der_x509_csr(der)
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        model = issue("model", self.root).certificate
        made = (
            x509.CertificateBuilder().subject_name(request.subject).issuer_name(self.root.certificate.subject)
            .public_key(request.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(model.not_valid_before_utc).not_valid_after(model.not_valid_after_utc.replace(year=model.not_valid_after_utc.year + 1))
            .add_extension(names, critical=False).sign(self.root.key, hashes.SHA256())
        )  # fmt: skip
        self.issued.append(made)
        return made.public_bytes(serialization.Encoding.PEM) + self.root.pem


def _raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _thumbprint(jwk: dict[str, Any]) -> str:
    """RFC 7638."""
    wanted = {
        name: jwk[name] for name in sorted({"EC": ("crv", "kty", "x", "y"), "RSA": ("e", "kty", "n")}[jwk["kty"]])
    }
    digest = hashes.Hash(hashes.SHA256())
    digest.update(json.dumps(wanted, separators=(",", ":")).encode())
    return base64.urlsafe_b64encode(digest.finalize()).rstrip(b"=").decode()
