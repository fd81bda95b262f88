"""The authorization server of one FHIR base: its address, its clients, its tokens and its signing keys, wired once by app.py."""

from __future__ import annotations

from suture.access.oauth.clients import Clients
from suture.access.oauth.oidc import SigningKeys
from suture.access.oauth.origins import Origins
from suture.access.oauth.sealed import Sealer
from suture.access.oauth.tokens import Tokens
from suture.clock import Clock
from suture.settings import Settings
from suture.store.database import Database


class Authority:
    """What the rooms beside this one work on."""

    def __init__(self, database: Database, clock: Clock, settings: Settings, clients: Clients) -> None:
        self.database = database
        self.clock = clock
        self.settings = settings
        self.clients = clients
        self.tokens = Tokens(database, clock, settings)
        self.keys = SigningKeys(database, clock, settings)
        self.origins = Origins(database, clock, settings)
        key = database.shared.envelope.derive("oauth pages")
        self.sealer = Sealer(key, settings["oauth.request_life"], clock)

    @property
    def issuer(self) -> str:
        """The FHIR base, which is the issuer of id_tokens and the audience of access tokens."""
        return issuer_of(self.settings)

    def address(self, path: str) -> str:
        """An address of ours as the outside world sees it."""
        return str(self.settings["http.base_url"]).rstrip("/") + path


def issuer_of(settings: Settings) -> str:
    return str(settings["http.base_url"]).rstrip("/") + "/fhir"
