"""Which origins may be contacted at all: the list of the settings, and for some purposes any public https address.

OWASP, Server-Side Request Forgery Prevention: https://cheatsheetseries.owasp.org/cheatsheets/Server_Side_Request_Forgery_Prevention_Cheat_Sheet.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from suture.connectors import networks
from suture.connectors.networks import Address
from suture.connectors.target import Target, target
from suture.errors import Invalid, OutboundRefused, Unstartable

# purpose -> who enters such a URL
PURPOSES = {
    "connection": "connections of flows and the endpoints they discover",
    "gateway": "upstream APIs of the gateway",
    "webhook": "webhooks that people or programs register",
    "subscription": "endpoints of FHIR Subscriptions",
    "import": "files and manifests that $import fetches",
    "jwks": "key sets of registered OAuth clients",
    "openid": "OpenID Connect issuers for signing in",
    "cds": "CDS Hooks services",
    "logo": "pictures of registered apps",
    "audit": "off-box copies of the audit trail",
    "acme": "certificate authorities",
    "guide": "registries of implementation guides",
}
_WILD = re.compile(r"(?:(https?)://)?\*\.([^:/?#]+)(:[0-9]{1,5})?/?")


@dataclass(frozen=True, slots=True)
class Wild:
    """`*.example.org`: every name below it, whole labels only, not the name itself."""

    scheme: str
    suffix: str  # begins with a dot
    port: int

    def fits(self, to: Target) -> bool:
        return (to.scheme, to.port) == (self.scheme, self.port) and to.host.endswith(self.suffix) and not to.address


class Allowed:
    """`permit` judges a target, `reaches` every address its name stands for. Empty lists allow nothing."""

    def __init__(self, listed: Iterable[str] = (), public: Iterable[str] = ()) -> None:
        self._exact: dict[str, Target] = {}
        self._wild: list[Wild] = []
        for entry in listed:
            self._add(entry)
        self._places = {(one.host, one.port) for one in self._exact.values()}
        self._public = frozenset(_purpose(word) for word in public)

    def _add(self, entry: str) -> None:
        if wild := _WILD.fullmatch(entry):
            self._wild.append(_wild(wild[1], wild[2], wild[3] or "", entry))
            return
        try:
            found = target(entry, "outbound.allow")
        except Invalid as error:
            raise _unreadable(error.text) from error
        if found.path != "/":
            raise _unreadable(f"'{found.origin}' goes on with a path; origins are listed")
        self._exact[found.origin] = found

    def permit(self, to: Target, purpose: str) -> None:
        """Raises OutboundRefused when nothing at this origin may be contacted for this purpose."""
        if to.origin in self._exact or any(wild.fits(to) for wild in self._wild):
            return
        if _purpose(purpose) not in self._public:
            raise OutboundRefused(
                f"{to.origin} is not on the list of origins that may be contacted",
                where=purpose,
                mend=f"Add {to.origin} to the setting outbound.allow.",
            )
        if to.scheme != "https" or to.port != 443 or (to.address is None and "." not in to.host):
            raise OutboundRefused(
                f"{to.origin} is not a public https address on port 443",
                where=purpose,
                mend=f"Add {to.origin} to the setting outbound.allow if it is meant.",
            )
        if to.address is not None:
            self.reach(to.host, to.port, to.address)

    def listed(self, to: Target) -> bool:
        """Whether the origin itself stands on the list."""
        return to.origin in self._exact

    def reach(self, host: str, port: int, address: Address) -> None:
        """Raises OutboundRefused when what a host resolved to must not be contacted."""
        kind, listed = networks.kind(address), (host, port) in self._places
        as_written = listed and networks.read(host) == address
        if kind == networks.PUBLIC or as_written or (listed and kind == networks.PRIVATE):
            return
        raise OutboundRefused(
            f"{host} leads to {_SAID[kind]}",
            where="outbound",
            mend="List its exact origin in outbound.allow if that is meant."
            if kind == networks.PRIVATE
            else "Nothing is sent there unless the address itself is listed in outbound.allow.",
        )


_SAID = {
    networks.PRIVATE: "a private network",
    networks.NEVER: "an address that is no other server's (link-local, metadata, multicast, reserved, translated)",
}


def words(text: str) -> list[str]:
    """The entries of a list in a setting, separated by commas or spaces."""
    return text.replace(",", " ").split()


def _wild(scheme: str | None, suffix: str, port: str, entry: str) -> Wild:
    try:
        found = target(f"{scheme or 'https'}://{suffix}{port}", "outbound.allow")
    except Invalid as error:
        raise _unreadable(error.text) from error
    if found.address or "." not in found.host:
        raise _unreadable("a '*.' stands before a domain of two labels or more")
    return Wild(found.scheme, "." + found.host, found.port)


def _purpose(word: str) -> str:
    if word in PURPOSES:
        return word
    close = get_close_matches(word, PURPOSES, 1)
    raise Unstartable(
        f"no purpose named '{word[:30]}'",
        where="outbound.public",
        mend=f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(PURPOSES)}.",
    )


def _unreadable(text: str) -> Unstartable:
    return Unstartable(text, where="outbound.allow", mend="Write origins: https://ehr.example or *.example.org.")
