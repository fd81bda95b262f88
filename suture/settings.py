"""The one table of settings: `SUTURE_SECTION_NAME` in the environment > suture.toml > default.

suture.toml: https://toml.io/en/v1.0.0
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from suture import settings_text, spelling
from suture.errors import InvalidFile, Problem

FOR_TESTS = frozenset({"SUTURE_POSTGRES", "SUTURE_PUBLIC", "SUTURE_WRITE_DOCS"})  # heard by our own tests alone
# What Kubernetes and Docker set by themselves for a service that is called suture: SUTURE_PORT=tcp://10.0.0.1:8080 …
_LINK = re.compile(
    r"SUTURE(_\w+)?_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)=.*|\w+_PORT=\w+://.*"
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting; `name` is `section.key` as in suture.toml, `SUTURE_SECTION_KEY` in the environment."""

    name: str
    kind: str  # string | integer | boolean | duration (seconds) | size (bytes) | path
    default: Any
    help: str

    @property
    def environment(self) -> str:
        return "SUTURE_" + self.name.replace(".", "_").upper()


# `database` and `key_file` have published names without a section.
TABLE: tuple[Setting, ...] = (
    Setting(
        "database",
        "string",
        "",
        "where everything is kept: sqlite:PATH, or postgresql://USER@HOST/DATABASE; default: data/suture.db in the project folder",
    ),
    Setting(
        "key_file",
        "path",
        "",
        "the key that opens the database; default: outside the data folder, in the user's config folder",
    ),
    Setting(
        "key_command",
        "string",
        "",
        "a command that prints the key instead of a key file, such as that of a key service; run without a shell",
    ),
    Setting("http.host", "string", "127.0.0.1", "address the web side listens on"),
    Setting("http.port", "integer", 8080, "port the web side listens on"),
    Setting("http.processes", "integer", 1, "web processes on the port; more than one with PostgreSQL only"),
    Setting("http.base_url", "string", "", "the address the outside world sees; default: http://HOST:PORT"),
    Setting("http.max_body", "size", "64MiB", "largest request body"),
    Setting("http.max_head", "size", "32KiB", "largest head (request line and headers)"),
    Setting("http.max_connections", "integer", 1024, "HTTP connections at once; more are turned away with 503"),
    Setting("http.gzip", "boolean", True, "compress answers to programs that accept gzip"),
    Setting(
        "http.cors_origins", "string", "", "web origins whose pages may call /fhir, separated by commas; * for all"
    ),
    Setting("http.head_timeout", "duration", "10s", "how long the head of a request may take to arrive"),
    Setting("http.idle_timeout", "duration", "60s", "a kept-alive connection silent for so long is closed"),
    Setting("http.stop_timeout", "duration", "20s", "how long requests that run may take to finish when stopping"),
    Setting("http.read_timeout", "duration", "30s", "how long a request may take to arrive"),
    Setting("http.write_timeout", "duration", "30s", "a caller who takes nothing of an answer for so long is cut off"),
    Setting("http.tls_certificate", "path", "", "PEM file with the certificate chain"),
    Setting("http.tls_key", "path", "", "PEM file with the private key"),
    Setting(
        "http.tls_client_ca",
        "path",
        "",
        "PEM file of the authority whose client certificates programs may show instead of a key; empty: none",
    ),
    Setting(
        "acme.domains",
        "string",
        "",
        "names this server has, separated by spaces: certificates for them come from an ACME authority; empty: none",
    ),
    Setting(
        "acme.directory",
        "string",
        "https://acme-v02.api.letsencrypt.org/directory",
        "the authority's directory",
    ),
    Setting("acme.email", "string", "", "where the authority may write to"),
    Setting("acme.accept_terms", "boolean", False, "the authority's terms were read and are accepted"),
    Setting("acme.ca", "path", "", "PEM file that the authority's own TLS is checked with; default: the machine's"),
    Setting("acme.host", "string", "0.0.0.0", "address of the listener that proves the names to the authority"),  # noqa: S104
    Setting("acme.port", "integer", 80, "its port; the authority always asks on port 80"),
    Setting("acme.renew", "duration", "30d", "how long before its end a certificate is renewed"),
    Setting(
        "tls.look", "duration", "60s", "how often the certificate files are looked at, so that renewed ones are taken"
    ),
    Setting("mllp.host", "string", "127.0.0.1", "address MLLP sources listen on"),
    Setting("mllp.port", "integer", 2575, "port of an mllp.listen source that names none"),
    Setting("mllp.max_frame", "size", "16MiB", "largest HL7 v2 message"),
    Setting("mllp.max_connections", "integer", 512, "MLLP connections at once"),
    Setting("mllp.idle_timeout", "duration", "1h", "an MLLP connection silent for so long is closed"),
    Setting("mllp.frame_timeout", "duration", "30s", "how long one frame may take to arrive"),
    Setting(
        "mllp.unanswered",
        "integer",
        64,
        "messages of one connection that wait for their acknowledgement; more are not read",
    ),
    Setting(
        "mllp.memory",
        "size",
        "256MiB",
        "messages of all connections that are not acknowledged yet; past it senders try later",
    ),
    Setting(
        "mllp.tls_certificate", "path", "", "PEM file with the certificate chain of the MLLP listeners; empty: no TLS"
    ),
    Setting("mllp.tls_key", "path", "", "PEM file with its private key"),
    Setting(
        "mllp.tls_client_ca",
        "path",
        "",
        "PEM file of the authority whose client certificates are asked for; empty: none",
    ),
    Setting("fhir.page_size", "integer", 50, "entries of a search page when _count is not given"),
    Setting("fhir.max_page_size", "integer", 1000, "largest _count"),
    Setting("fhir.max_bundle", "integer", 10000, "most entries of a batch or transaction"),
    Setting("fhir.max_depth", "integer", 100, "deepest nesting of a JSON body"),
    Setting(
        "fhir.max_values",
        "integer",
        1_000_000,
        "most values of a JSON body (counted by its commas); larger ones go through suture import",
    ),
    Setting("bulk.life", "duration", "24h", "how long an export and its files are kept"),
    Setting("bulk.max_jobs", "integer", 5, "exports of one caller that are not done yet; more are refused with 429"),
    Setting(
        "bulk.import_size", "size", "4GiB", "largest file of an import, and all files of one that are fetched, unpacked"
    ),
    Setting("bulk.fetch_time", "duration", "1h", "how long one try to fetch a file of an import may take"),
    Setting("bulk.file_resources", "integer", 100_000, "most resources of one file of an export"),
    Setting(
        "bulk.look",
        "duration",
        "5s",
        "how often exports that another process left behind, or that expired, are looked for",
    ),
    Setting("fhir.cursor_life", "duration", "24h", "how long the next link of a page works"),
    Setting("fhir.idempotency_life", "duration", "24h", "how long a write with an Idempotency-Key may be sent again"),
    Setting("fhir.max_includes", "integer", 1000, "most included resources of one page"),
    Setting(
        "search.quick", "duration", "50ms", "a query that runs longer begins anew in a thread, so that others go on"
    ),
    Setting(
        "search.text",
        "string",
        "off",
        "full text that is kept for _text and _content: off, narrative (only _text) or all",
    ),
    Setting(
        "search.budget", "duration", "10s", "a query that runs longer is ended with an outcome that says what to narrow"
    ),
    Setting(
        "access.clearance",
        "string",
        "",
        "which roles see rows with security labels: 'clinician=R,PSY administrator=*'; without a clearance they are as if absent",
    ),
    Setting(
        "access.encounter_only",
        "boolean",
        False,
        "a launch's encounter narrows its token to what belongs to that encounter; else it is context only",
    ),
    Setting(
        "access.even",
        "duration",
        "5ms",
        "'not found' waits up to so long, by chance, for who may see a part only, so that its time tells nothing; 0s: never",
    ),
    Setting("glass.life", "duration", "1h", "how long a record stays open that was opened in an emergency"),
    Setting("session.idle", "duration", "15m", "a console session silent for so long ends"),
    Setting("session.recheck", "duration", "2s", "a revoked key or changed scope takes hold within this time"),
    Setting("session.life", "duration", "12h", "a console session ends after so long"),
    Setting("session.first_run_link", "duration", "24h", "life of the link that creates the administrator"),
    Setting("login.free_attempts", "integer", 5, "wrong passwords before waiting times begin"),
    Setting(
        "login.second_factor",
        "string",
        "privileged",
        "who must have a second factor: privileged (whoever may change privileges), more role names, everybody; "
        "optional is for a machine that only itself can reach",
    ),
    Setting("login.step_life", "duration", "10m", "how long the second step of signing in may take"),
    Setting("login.invitation_life", "duration", "7d", "life of an invitation link"),
    Setting("login.reset_life", "duration", "24h", "life of a link that sets a new password"),
    Setting("sso.issuer", "string", "", "OpenID Connect issuer people may sign in with; empty: none (docs/sso.md)"),
    Setting("sso.name", "string", "single sign-on", "what the issuer is called on the sign-in page"),
    Setting("sso.client_id", "string", "", "as what the issuer knows this Suture"),
    Setting("sso.secret", "string", "", "name of the vault's secret that proves it; empty: a public client"),
    Setting("sso.scopes", "string", "openid profile email", "what is asked of the issuer"),
    Setting("sso.claim", "string", "groups", "the claim that names a person's groups"),
    Setting("sso.roles", "string", "", "which groups give which roles: group=role, with blanks between"),
    Setting("sso.provision", "boolean", False, "let in people nobody added here, when their groups give a role"),
    Setting(
        "sso.second_factor",
        "string",
        "",
        "values of amr or acr that count as a second factor, such as mfa hwk; empty: none",
    ),
    Setting("session.strong", "duration", "10m", "a change of privileges needs a second factor shown so recently"),
    Setting("oauth.code_life", "duration", "60s", "how long an app may take to exchange its code; at most 60s"),
    Setting("oauth.access_life", "duration", "1h", "life of an access token; at most 1h"),
    Setting("oauth.online_life", "duration", "12h", "an app with online_access is refreshed for so long at most"),
    Setting("oauth.offline_life", "duration", "100d", "a refresh token of offline_access not used for so long ends"),
    Setting("oauth.launch_life", "duration", "5m", "how long an app that was opened may take to ask for its launch"),
    Setting("oauth.request_life", "duration", "30m", "how long a person may take to sign in and allow an app"),
    Setting("oauth.key_life", "duration", "90d", "after so long id_tokens are signed with a new key"),
    Setting("oauth.backend_life", "duration", "5m", "life of a program's access token; at most 5m"),
    Setting(
        "oauth.register", "boolean", True, "apps may register by themselves; none works before somebody approved it"
    ),
    Setting("oauth.register_rate", "integer", 10, "registrations an hour from one address"),
    Setting("oauth.register_pending", "integer", 200, "registrations that may wait to be decided on"),
    Setting("oauth.assertion_life", "duration", "5m", "how far ahead a client's signed assertion may expire"),
    Setting("oauth.clock_skew", "duration", "30s", "how far a client's clock may be off"),
    Setting("oauth.jwks_life", "duration", "5m", "how long published keys are kept when no Cache-Control says so"),
    Setting("oauth.jwks_longest", "duration", "1h", "how long published keys are kept at most"),
    Setting(
        "oauth.jwks_interval", "duration", "30s", "an unknown key or a failure asks a client's URL again after so long"
    ),
    Setting("oauth.jwks_fetches", "integer", 30, "requests a minute to one client's URL of keys"),
    Setting("oauth.jwks_timeout", "duration", "5s", "how long such a URL may take to answer"),
    Setting("oauth.jwks_size", "size", "64KiB", "largest answer of such a URL"),
    Setting(
        "udap.certificate",
        "path",
        "",
        "PEM file with our certificate chain of a trust community; with key and anchors UDAP is on",
    ),
    Setting("udap.key", "path", "", "PEM file with its RSA private key"),
    Setting("udap.anchors", "path", "", "PEM file with the certificates that the community trusts"),
    Setting("udap.community", "string", "", "URI of the community"),
    Setting(
        "udap.approve", "boolean", False, "programs of the community are let in at once, with the scopes they ask for"
    ),
    Setting("engine.workers", "integer", 64, "runs walked at once"),
    Setting(
        "engine.planner",
        "boolean",
        "true",
        "a second process maps and plans while many messages come; begins by itself",
    ),
    Setting("engine.planner_idle", "duration", "1m", "the second process ends after so long without work"),
    Setting("engine.retry_attempts", "integer", 8, "attempts of a delivery before it becomes a dead letter"),
    Setting("engine.retry_first", "duration", "2s", "wait before the second try; doubles up to engine.retry_longest"),
    Setting("engine.retry_longest", "duration", "10m", "longest wait between two attempts"),
    Setting("engine.send_timeout", "duration", "30s", "how long a destination may take to answer"),
    Setting(
        "engine.retention_every", "duration", "1h", "how often messages older than their flows keep them are let go"
    ),
    Setting(
        "outbound.allow",
        "string",
        "",
        "origins that may be contacted, such as https://ehr.example or *.example.org, separated by commas",
    ),
    Setting(
        "outbound.public",
        "string",
        "",
        "purposes for which any public https address may be contacted, such as jwks; docs/outbound.md lists them",
    ),
    Setting(
        "gateway.fhir_limits",
        "string",
        "second=1000 burst=4000",
        "limits of each caller of /fhir: second, burst, minute, hour, day, month, concurrency; empty: none",
    ),
    Setting("gateway.minutes_kept", "duration", "2d", "how long usage by minute is kept"),
    Setting("gateway.days_kept", "duration", "400d", "how long usage by day is kept"),
    Setting("matching.on", "boolean", True, "look for records that may be of one person; docs/matching.md"),
    Setting("matching.link_certain", "boolean", False, "link what is certain without asking anybody"),
    Setting("matching.load", "integer", 10, "percent of the time that looking for such records may take"),
    Setting("matching.later", "duration", "7d", "a pair that was put off is shown again after so long"),
    Setting("subscriptions.most", "integer", 100, "subscriptions of one caller that are not off"),
    Setting("subscriptions.attempts", "integer", 6, "tries of a notification before its subscription turns to error"),
    Setting(
        "subscriptions.retry_first",
        "duration",
        "2s",
        "wait before the second try; doubles up to subscriptions.retry_longest",
    ),
    Setting("subscriptions.retry_longest", "duration", "5m", "longest wait between two tries of a notification"),
    Setting("subscriptions.token", "duration", "5m", "how long a token that binds a websocket is good"),
    Setting("subscriptions.keep", "duration", "7d", "how long events can be asked for with $events"),
    Setting("mail.host", "string", "", "the mail server that mail goes out through; empty: no mail is sent"),
    Setting("mail.port", "integer", 587, "its port; 465 goes with mail.security tls"),
    Setting("mail.security", "string", "starttls", "starttls, tls (from the start), or none (this machine alone)"),
    Setting("mail.ca", "path", "", "PEM file of authorities to trust beside the system's"),
    Setting("mail.from", "string", "", "the address mail comes from, such as suture@clinic.example"),
    Setting("mail.user", "string", "", "who signs in to the mail server; empty: nobody does"),
    Setting("mail.secret", "string", "", "name of the vault's secret with the password, kept for smtp://HOST:PORT"),
    Setting("mail.timeout", "duration", "20s", "how long the mail server may take for each answer"),
    Setting("mail.own", "string", "", "domains and addresses of this organisation that may be written to"),
    Setting(
        "mail.partners",
        "string",
        "",
        "others that may be written to, under the partner's agreement: ADDRESS=PARTNER or @DOMAIN=PARTNER",
    ),
    Setting("mail.pause", "duration", "1m", "least time between two mails of one subscription"),
    Setting("mail.full", "boolean", False, "whether mails may carry whole resources: mail is not a safe channel"),
    Setting("outbound.timeout", "duration", "10s", "how long a whole request to an entered URL may take"),
    Setting("outbound.max_answer", "size", "1MiB", "largest answer from an entered URL"),
    Setting("outbound.concurrency", "integer", 16, "requests at once to one origin of entered URLs"),
    Setting("outbound.ca", "path", "", "PEM file of authorities to trust beside the system's"),
    Setting("ig.registry", "string", "https://packages.fhir.org", "where suture ig install NAME@VERSION asks"),
    Setting("fhirpath.steps", "integer", 1_000_000, "most evaluation steps of one expression"),
    Setting(
        "audit.anchor",
        "path",
        "",
        "the file that keeps count and head of the audit trail; default: beside the key file",
    ),
    Setting("audit.anchor_every", "duration", "10s", "how often the audit anchor moves on"),
    Setting("audit.copy_every", "duration", "2s", "how often copies of the audit trail go on to where they are kept"),
    Setting("audit.file", "path", "", "a file, best on another machine's share, that gets a copy of the audit trail"),
    Setting(
        "audit.file_size", "size", "64MiB", "past this size that file is set aside under its time and a new one begun"
    ),
    Setting("audit.syslog", "string", "", "tls://HOST:PORT of a syslog receiver that gets a copy of the audit trail"),
    Setting(
        "audit.syslog_ca", "path", "", "PEM file of the authority that signed its certificate; empty: the system's"
    ),
    Setting("audit.syslog_certificate", "path", "", "PEM file with the certificate that is shown to it"),
    Setting("audit.syslog_key", "path", "", "PEM file with the private key of that certificate"),
    Setting("audit.webhook", "string", "", "URL that gets a copy of the audit trail as JSON lines, POSTed"),
    Setting(
        "agreements.required",
        "boolean",
        True,
        "send real records to other machines only under an agreement in force with the connection's partner",
    ),
    Setting("agreements.warn", "duration", "30d", "how long before its end an agreement is warned about"),
    Setting(
        "security.contact",
        "string",
        "",
        "whom to tell about a hole in this installation, such as mailto:it@example.org; shown in /.well-known/security.txt",
    ),
    Setting("backup.keep", "integer", 7, "backups kept in a backup folder"),
)


class Settings:
    """The settings in force; `settings["http.port"]` gives the value in its unit (seconds, bytes)."""

    def __init__(self, values: Mapping[str, Any], folder: Path) -> None:
        self._values = dict(values)
        self.folder = folder

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def with_values(self, **values: Any) -> Settings:
        """A copy with other values; `__` stands for the dot: `http__port=0`."""
        changed = {name.replace("__", "."): value for name, value in values.items()}
        unknown = set(changed) - set(self._values)
        if unknown:
            raise KeyError(f"no setting named {', '.join(sorted(unknown))}")
        return Settings({**self._values, **changed}, self.folder)

    @property
    def database(self) -> str:
        """The address; a relative path is one of the project folder, from wherever the command is called."""
        kind, _, rest = (str(self["database"]) or "sqlite:data/suture.db").partition(":")
        return f"{kind}:{self.folder / rest}" if kind == "sqlite" and rest else f"{kind}:{rest}"

    @property
    def key_file(self) -> Path:
        """Outside the data folder: one key per project folder under the user's configuration."""
        if self["key_file"]:
            return self.folder / str(self["key_file"])
        home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return home / "suture" / f"{self.folder.resolve().name or 'suture'}-{_fingerprint(self.folder)}.key"


def _fingerprint(folder: Path) -> str:
    return hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]


def read(folder: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a project folder; raises InvalidFile with every unknown name and wrong value."""
    env = os.environ if environment is None else environment
    if not folder.is_dir():
        raise InvalidFile([Problem(str(folder), 0, 0, "no such folder", "Make it first: suture init DIR")])
    file = folder / "suture.toml"
    text = settings_text.text_of(file)
    written = settings_text.values(text, file)
    problems = [
        Problem(str(file), *settings_text.place(text, name), f"no setting named '{name}'", _nearest(name))
        for name in written
        if name not in {s.name for s in TABLE}
    ]
    problems += _strangers(env)
    values: dict[str, Any] = {}
    for setting in TABLE:
        origin, raw = str(file), written.get(setting.name, setting.default)
        if setting.environment in env:
            origin, raw = setting.environment, env[setting.environment]
        try:
            values[setting.name] = settings_text.value(setting.kind, raw, folder)
        except ValueError as error:
            at = settings_text.place(text, setting.name) if origin == str(file) else (0, 0)
            problems.append(Problem(origin, *at, f"'{setting.name}': {error}", setting.help))
    if problems:
        raise InvalidFile(problems)
    return Settings(values, folder)


def _strangers(environment: Mapping[str, str]) -> list[Problem]:
    """Names in the environment that look like settings and are none: a mistyped one must not be passed over."""
    known = {s.environment for s in TABLE} | FOR_TESTS
    named = sorted(name for name in environment if name.startswith("SUTURE_") and name not in known)
    found = [name for name in named if not _LINK.fullmatch(f"{name}={environment[name]}")]
    return [Problem(name, 0, 0, "the environment names a setting that is not there", _nearest(name)) for name in found]


def _nearest(name: str) -> str:
    close = spelling.nearest(name, [s.environment if name.startswith("SUTURE_") else s.name for s in TABLE])
    return f"Did you mean '{close}'?" if close else "docs/settings.md lists them."


def reference() -> str:
    """The table as Markdown, for docs/settings.md."""
    rows = [f"| `{s.name}` | `{s.environment}` | `{s.default}` | {s.help} |" for s in TABLE]
    return "\n".join(["| setting | environment | default | meaning |", "|---|---|---|---|", *rows, ""])
