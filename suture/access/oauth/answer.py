"""What the token endpoint gives (RFC 6749, 5.1; SMART App Launch 2.2, launch context).

https://www.rfc-editor.org/rfc/rfc6749#section-5.1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

ACCESS_PREFIX, REFRESH_PREFIX, CODE_PREFIX = "at_", "rt_", "ac_"  # so that nothing is mistaken for a bearer key


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """A new access token with what comes along; `context` are launch context parameters."""

    access_token: str
    expires_in: int  # seconds
    scope: str
    refresh_token: str = ""
    id_token: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """As JSON; what is not there is left out."""
        given = {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "scope": self.scope,
            "refresh_token": self.refresh_token,
            "id_token": self.id_token,
        }
        return {**{name: value for name, value in given.items() if value != "" or name == "scope"}, **self.context}
