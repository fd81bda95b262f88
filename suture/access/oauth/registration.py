"""What an app says of itself when it registers, judged word by word (RFC 7591; SMART App Launch 2.2).

https://www.rfc-editor.org/rfc/rfc7591
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from suture.access.oauth import jwks, redirects, scopes
from suture.access.oauth.assertions import ALGORITHMS
from suture.access.oauth.errors import OAuthRefused
from suture.clock import instant
from suture.errors import Invalid
from suture.store.apps import ASYMMETRIC, PUBLIC, SYMMETRIC, OAuthClient

METHODS = {
    "none": PUBLIC,
    "client_secret_basic": SYMMETRIC,
    "client_secret_post": SYMMETRIC,
    "private_key_jwt": ASYMMETRIC,
}
CODE, REFRESH, CREDENTIALS = "authorization_code", "refresh_token", "client_credentials"
GRANT_TYPES = (CODE, REFRESH, CREDENTIALS)
MOST_SCOPES, MOST_CONTACTS = 100, 10
LONGEST_NAME, LONGEST_TEXT = 120, 300
_LASTING = ("offline_access", "online_access")
_LINKS = ("logo_uri", "client_uri", "policy_uri", "tos_uri", "initiate_login_uri")
_KEPT = ("client_uri", "policy_uri", "tos_uri")
_TEXTS = ("software_id", "software_version")


def wrong(text: str) -> OAuthRefused:
    """What is not right with the metadata."""
    return OAuthRefused("invalid_client_metadata", text)


def read(
    said: Mapping[str, Any], *, origin: str, loopback_allowed: bool = False, certified: bool = False
) -> OAuthClient:
    """The pending client of this metadata; what has no meaning here is passed over (RFC 7591, 2).

    Raises OAuthRefused: `invalid_redirect_uri` or `invalid_client_metadata`. The id is made when it is kept.
    `certified`: its keys come with certificates (UDAP), none are registered.
    """
    method = said.get("token_endpoint_auth_method", "client_secret_basic")
    if not isinstance(method, str) or method not in METHODS:
        raise wrong(f"token_endpoint_auth_method is one of {', '.join(METHODS)}")
    kind, grants = METHODS[method], _grant_types(said)
    keys, url = (None, "") if certified else _keys(said, kind, loopback_allowed)
    links = {name: _link(said, name) for name in _LINKS}
    return OAuthClient(
        "",
        _name(said),
        kind,
        redirect_uris=_redirects(said, grants, kind),
        launch_url=links["initiate_login_uri"],
        scopes=_scopes(said, grants),
        grant_types=_lasting(said, grants),
        jwks=keys,
        jwks_url=url,
        logo=links["logo_uri"],
        contacts=_contacts(said),
        attributes=_attributes(said, method, kind, links),
        origin=origin,
    )


def _name(said: Mapping[str, Any]) -> str:
    name = said.get("client_name")
    if not isinstance(name, str) or not 0 < len(name.strip()) <= LONGEST_NAME or not _visible(name):
        raise wrong(f"client_name is a name that people can read, of at most {LONGEST_NAME} characters")
    return " ".join(name.split())


def _visible(text: str) -> bool:
    """Without control characters and those that turn or hide what stands beside them."""
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") for c in text)


def _words(said: Mapping[str, Any], name: str, default: Sequence[str] = ()) -> tuple[str, ...]:
    found = said.get(name, list(default))
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise wrong(f"{name} is a list of texts")
    return tuple(found)


def _grant_types(said: Mapping[str, Any]) -> tuple[str, ...]:
    grants = tuple(dict.fromkeys(_words(said, "grant_types", (CODE,))))
    if not grants or any(one not in GRANT_TYPES for one in grants):
        raise wrong(f"grant_types are of {', '.join(GRANT_TYPES)}")
    if REFRESH in grants and CODE not in grants:
        raise wrong("refresh_token comes with authorization_code only")
    if CREDENTIALS in grants and said.get("token_endpoint_auth_method") != "private_key_jwt":
        raise wrong("client_credentials needs private_key_jwt")
    if any(one != "code" for one in _words(said, "response_types", ("code",) if CODE in grants else ())):
        raise wrong("response_types is code")
    return grants


def _lasting(said: Mapping[str, Any], grants: tuple[str, ...]) -> tuple[str, ...]:
    """Whoever asks for lasting access will refresh."""
    wants = CODE in grants and any(word in _LASTING for word in str(said.get("scope", "")).split())
    return (*grants, REFRESH) if wants and REFRESH not in grants else grants


def _redirects(said: Mapping[str, Any], grants: Sequence[str], kind: str) -> tuple[str, ...]:
    uris = _words(said, "redirect_uris")
    if CODE not in grants and uris:
        raise OAuthRefused("invalid_redirect_uri", "redirect_uris come with authorization_code only")
    if CODE in grants and not uris:
        raise OAuthRefused("invalid_redirect_uri", "redirect_uris are missing")
    found = redirects.troubles(uris, native=kind == PUBLIC)
    if found:
        raise OAuthRefused("invalid_redirect_uri", f"one of redirect_uris can't be taken: {found}")
    return uris


def _scopes(said: Mapping[str, Any], grants: Sequence[str]) -> tuple[str, ...]:
    text = said.get("scope", "")
    words = tuple(dict.fromkeys(text.split())) if isinstance(text, str) else ()
    if not words or len(words) > MOST_SCOPES:
        raise wrong(f"scope names 1 to {MOST_SCOPES} scopes, separated by spaces")
    for word in words:
        if not scopes.known(word):
            raise wrong(f"not a scope that is known here: {word[:100]}")
        if not _fits(word, grants):
            raise wrong(f"this scope does not fit the grant_types: {word[:100]}")
    return words


def _fits(word: str, grants: Sequence[str]) -> bool:
    """`system/` is for programs in their own name, all else for people."""
    return CREDENTIALS in grants if word.startswith("system/") else CODE in grants


def _keys(said: Mapping[str, Any], kind: str, loopback_allowed: bool) -> tuple[Mapping[str, Any] | None, str]:
    keys, url = said.get("jwks"), said.get("jwks_uri")
    if kind != ASYMMETRIC:
        return None, ""
    if (keys is None) == (url is None):
        raise wrong("private_key_jwt needs either jwks_uri (better) or jwks")
    try:
        if url is not None:
            return None, jwks.require_url(url if isinstance(url, str) else "", loopback_allowed=loopback_allowed)
        sound = jwks.require_set(keys if isinstance(keys, dict) else {})
    except Invalid as error:
        raise wrong(f"{error.where}: {error.text}") from None
    if not sound:
        raise wrong("jwks: no RSA or EC key with a kid")
    return {"keys": [dict(key) for key in sound]}, ""


def _link(said: Mapping[str, Any], name: str) -> str:
    url = said.get(name, "")
    if url == "":
        return ""
    if not isinstance(url, str) or redirects.trouble(url, native=False):
        raise wrong(f"{name} is a plain https address")
    return url


def _contacts(said: Mapping[str, Any]) -> tuple[str, ...]:
    found = _words(said, "contacts")
    if len(found) > MOST_CONTACTS or not all(0 < len(one) <= LONGEST_TEXT and _visible(one) for one in found):
        raise wrong(f"contacts are at most {MOST_CONTACTS} short texts")
    return found


def _attributes(said: Mapping[str, Any], method: str, kind: str, links: Mapping[str, str]) -> dict[str, Any]:
    kept: dict[str, Any] = {"method": method, **{name: links[name] for name in _KEPT if links[name]}}
    for name in _TEXTS:
        value = said.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or len(value) > LONGEST_TEXT or not _visible(value):
            raise wrong(f"{name} is a short text")
        kept[name] = value
    algorithm = said.get("token_endpoint_auth_signing_alg")
    if kind == ASYMMETRIC and algorithm is not None:
        if algorithm not in ALGORITHMS:
            raise wrong(f"token_endpoint_auth_signing_alg is one of {', '.join(ALGORITHMS)}")
        kept["algorithms"] = [algorithm]
    return kept


def told(client: OAuthClient) -> dict[str, Any]:
    """A client's registration in the words of RFC 7591; never a secret."""
    attributes = client.attributes
    said: dict[str, Any] = {
        "client_id": client.id,
        "client_id_issued_at": client.created // 1_000_000,
        "client_name": client.name,
        "token_endpoint_auth_method": attributes.get("method") or _METHOD_OF[client.kind],
        "grant_types": list(client.grant_types),
        "response_types": ["code"] if CODE in client.grant_types else [],
        "redirect_uris": list(client.redirect_uris),
        "scope": " ".join(client.scopes),
        "contacts": list(client.contacts),
        "logo_uri": client.logo,
        "initiate_login_uri": client.launch_url,
        "jwks_uri": client.jwks_url,
        "jwks": dict(client.jwks) if client.jwks else None,
        **{name: attributes.get(name) for name in (*_KEPT, *_TEXTS)},
        "token_endpoint_auth_signing_alg": (attributes.get("algorithms") or [None])[0],
        "status": client.status,
    }
    return {name: value for name, value in said.items() if value not in (None, "", []) or name == "response_types"}


_METHOD_OF = {PUBLIC: "none", SYMMETRIC: "client_secret_basic", ASYMMETRIC: "private_key_jwt"}


def shown(client: OAuthClient) -> dict[str, Any]:
    """A client for whoever runs this house: its registration, where it stands and how it came."""
    return {
        **told(client),
        "kind": client.kind,
        "origin": client.origin,
        "created": instant(client.created),
        "decided": instant(client.decided) if client.decided else "",
        "address": client.attributes.get("address", ""),
        "note": client.attributes.get("note", ""),
    }
