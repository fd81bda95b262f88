"""Refusals of the authorization server, with the code that RFC 6749 (4.1.2.1, 5.2) gives them.

https://www.rfc-editor.org/rfc/rfc6749#section-5.2
"""

from __future__ import annotations

from suture.errors import SutureError


class OAuthRefused(SutureError):
    """`error` is the registered code (`invalid_client`, `invalid_grant` …), the text its description; `status` 400 or 401."""

    code, status, issue = "oauth-refused", 400, "security"

    def __init__(self, error: str, description: str, status: int = 400, *, where: str = "", mend: str = "") -> None:
        super().__init__(description, where=where, mend=mend)
        self.error = error
        self.status = status

    def body(self) -> dict[str, str]:
        """What the token endpoint answers; the description holds only what RFC 6749 allows in one."""
        said = f"{self.text}. {self.mend}" if self.mend else self.text
        return {"error": self.error, "error_description": plain(said)}


def plain(text: str) -> str:
    """Printable ASCII without quotation mark and backslash (RFC 6749, appendix A.8)."""
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "'" for c in text)[:300]
