"""What the authorization server says of itself; only what is there is claimed.

https://hl7.org/fhir/smart-app-launch/conformance.html · https://openid.net/specs/openid-connect-discovery-1_0.html
"""

from __future__ import annotations

from typing import Any

from suture.access.oauth.granted import (
    FHIR_USER,
    LAUNCH,
    LAUNCH_ENCOUNTER,
    LAUNCH_PATIENT,
    OFFLINE,
    ONLINE,
    OPENID,
    PROFILE,
)
from suture.access.oauth.kinds import FINER, TYPES
from suture.access.oauth.oidc import ALGORITHM
from suture.access.oauth.scopes import known

CAPABILITIES = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-style",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "context-standalone-encounter",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
AUTHENTICATION = ("client_secret_basic", "client_secret_post", "private_key_jwt")
ASSERTIONS = ("RS384", "ES384")
PATHS = {
    "authorization_endpoint": "/auth/authorize",
    "token_endpoint": "/auth/token",
    "introspection_endpoint": "/auth/introspect",
    "revocation_endpoint": "/auth/revoke",
    "jwks_uri": "/auth/jwks",
    "management_endpoint": "/own/apps",
}
CLAIMS = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "fhirUser", "name", "profile")


def scopes_supported() -> list[str]:
    """Words an app may ask for; whole types in all contexts, granular ones as US Core lists them."""
    words = [OPENID, FHIR_USER, PROFILE, LAUNCH, LAUNCH_PATIENT, LAUNCH_ENCOUNTER, OFFLINE, ONLINE]
    words += ["patient/*.cruds", "user/*.cruds", "system/*.cruds", "patient/*.rs", "user/*.rs", "system/*.rs"]
    words += [f"patient/{type}.rs" for type in sorted(TYPES)]
    words += [f"patient/{type}.rs?category={value}" for type in sorted(FINER) for value, _ in FINER[type]]
    return [word for word in words if known(word)]


def smart(base: str, more: dict[str, str]) -> dict[str, Any]:
    """`.well-known/smart-configuration`; `base` without a path, `more`: further endpoints and their paths."""
    return {
        "issuer": f"{base}/fhir",
        **_endpoints(base, {**PATHS, **more}),
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTIONS),
        "grant_types_supported": list(GRANT_TYPES),
        "response_types_supported": ["code"],
        "scopes_supported": scopes_supported(),
        "code_challenge_methods_supported": ["S256"],
        "capabilities": list(CAPABILITIES),
    }


def openid(base: str, more: dict[str, str]) -> dict[str, Any]:
    """`.well-known/openid-configuration`."""
    return {
        "issuer": f"{base}/fhir",
        **_endpoints(base, {**PATHS, **more}),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [ALGORITHM],
        "token_endpoint_auth_methods_supported": list(AUTHENTICATION),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTIONS),
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": scopes_supported(),
        "claims_supported": list(CLAIMS),
        "code_challenge_methods_supported": ["S256"],
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
    }


def _endpoints(base: str, paths: dict[str, str]) -> dict[str, str]:
    return {name: base + path for name, path in paths.items()}
