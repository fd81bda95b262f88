"""Style, script and icon: right types, kept for ever under their own names, and nothing else of the disk."""

from __future__ import annotations

import pytest

from suture.server.admin import files
from tests.server.running import Running


@pytest.mark.parametrize("name", files.TYPES)
async def test_a_file_may_be_kept_for_ever(server: Running, name: str) -> None:
    found = await server.http.get(files.address(name))
    assert found.status_code == 200
    assert found.headers["content-type"].encode() == files.TYPES[name]
    assert found.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert found.headers["x-content-type-options"] == "nosniff"
    old = await server.http.get(f"/static/0000000000000000/{name}")
    assert (old.content, old.headers["cache-control"]) == (found.content, "no-store")


@pytest.mark.parametrize(
    "path",
    [
        "/static/x/../site.py", "/static/x/..%2fsite.py", "/static/x/..%2f..%2fapp.py", "/static/..%2f..%2f/app.py",
        "/static/x/%2e%2e%2fsite.py", "/static/x//etc/passwd", "/static/x/suture.css%00.html", "/static/x/", "/static/",
        "/static/x/suture.css/..%5c..%5csite.py",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(server: Running, path: str) -> None:
    found = await server.http.get(server.url + path)
    assert found.status_code == 404
    assert b"import" not in found.content
