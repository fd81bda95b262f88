"""The authorization server of one FHIR base: its address, its clients, its tokens and its signing keys, wired once by app.py."""

from __future__ import annotations

from suture.access.caller import ANONYMOUS
from suture.access.denials import Denials
from suture.access.oauth.clients import PUBLIC, Clients, OAuthClient
from suture.access.oauth.oidc import SigningKeys
from suture.access.oauth.origins import Origins
from suture.access.oauth.sealed import Sealer
from suture.access.oauth.tokens import Tokens
from suture.clock import Clock
from suture.settings import Settings
from suture.store import audit
from suture.store.audit import AuditRow
from suture.store.connection import Tx
from suture.store.database import Database


class Authority:
    """What the rooms beside this one work on."""

    def __init__(
        self, database: Database, clock: Clock, settings: Settings, clients: Clients, denials: Denials | None = None
    ) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.clients = clients
        self._denials = denials or Denials(database, clock)
        self.tokens = Tokens(database, clock, settings)
        self.keys = SigningKeys(database, clock, settings)
        self.origins = Origins(database, clock, settings)
        key = database.shared.envelope.derive("oauth pages")
        self.sealer = Sealer(key, settings["oauth.request_life"], clock)

    def refused(self, tx: Tx, row: AuditRow, client: OAuthClient, what_is_known: object) -> None:
        """The row of a refusal. A public app proves nothing: who shows its id and nothing we know of is a stranger, counted as such."""
        if client.kind == PUBLIC and what_is_known is None:
            self._denials.append(tx, row._replace(who=ANONYMOUS.id, client=client.id))
        else:
            audit.append(tx, row)

    @property
    def issuer(self) -> str:
        """The FHIR base, which is the issuer of id_tokens and the audience of access tokens."""
        return issuer_of(self.settings)

    def address(self, path: str) -> str:
        """An address of ours as the outside world sees it."""
        return str(self.settings["http.base_url"]).rstrip("/") + path


def issuer_of(settings: Settings) -> str:
    return str(settings["http.base_url"]).rstrip("/") + "/fhir"
