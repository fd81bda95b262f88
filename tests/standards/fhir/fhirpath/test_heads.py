"""The heads of an expression: every name that begins a path, its column, and whether an argument holds it."""

from __future__ import annotations

import pytest

from suture.errors import InvalidSyntax
from suture.standards.fhir.fhirpath import heads


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("chart.entry.where(code = 'page.x').exists()", [("chart", 1, False), ("code", 19, True)]),
        (
            "PID-3.1 = other and not(message.id in save.ids)",
            [("other", 11, False), ("message", 25, True), ("save", 39, True)],
        ),
        ("`odd name`.x // comment.y", []),
        ("%resource.id | $this.a", []),
        ("(a | b)[c]", [("a", 2, False), ("b", 6, False), ("c", 9, False)]),
        ("a.ofType(Quantity) is Range", [("a", 1, False)]),
        ("-a + 'b' & c.repeat(d)", [("a", 2, False), ("c", 12, False), ("d", 21, True)]),
    ],
)
def test_the_heads_of_paths_are_seen(text: str, found: list[tuple[str, int, bool]]) -> None:
    assert [tuple(one) for one in heads(text, locations=True)] == found


def test_what_cannot_be_read_has_no_heads() -> None:
    with pytest.raises(InvalidSyntax, match="the end"):
        heads("a.")
