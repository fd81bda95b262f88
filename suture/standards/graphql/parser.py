"""Reads a GraphQL document by recursive descent, within bounds (https://spec.graphql.org/October2021/#sec-Document)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from suture.errors import InvalidSyntax
from suture.standards.graphql.lexer import Token, tokens
from suture.standards.graphql.tree import (
    Declared,
    Directive,
    Directives,
    Document,
    Field,
    Fragment,
    Operation,
    Selection,
    Spread,
    Variable,
    Word,
)

DEEPEST = 30
KINDS = frozenset({"query", "mutation", "subscription"})
_VALUES = {"true": True, "false": False, "null": None}


def read(text: str) -> Document:
    """The document; raises InvalidSyntax with line and column."""
    return _Parser(text).document()


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens = list(tokens(text))
        self._at = 0
        self._depth = 0

    def document(self) -> Document:
        operations: list[Operation] = []
        fragments: dict[str, Fragment] = {}
        while self._next.kind != "end":
            if self._is("fragment"):
                made = self._fragment()
                if made.name in fragments:
                    raise InvalidSyntax("two fragments have one name", where=f"query fragment {made.name[:100]}")
                fragments[made.name] = made
            else:
                operations.append(self._operation())
        return Document(tuple(operations), fragments)

    def _operation(self) -> Operation:
        if self._is("{"):
            return Operation("query", "", (), self._selections())
        kind = self._name()
        if kind not in KINDS:
            raise self._wrong("query, fragment or {", self._tokens[self._at - 1])
        name = self._name() if self._next.kind == "name" else ""
        variables = self._within("(", ")", self._declared) if self._is("(") else []
        self._directives()
        return Operation(kind, name, tuple(variables), self._selections())

    def _fragment(self) -> Fragment:
        self._expect("fragment")
        name = self._name()
        self._expect("on")
        type = self._name()
        self._directives()
        return Fragment(name, type, self._selections())

    def _declared(self) -> Declared:
        self._expect("$")
        name = self._name()
        self._expect(":")
        type = self._type()
        default = self._value() if self._take("=") else None
        self._directives()
        return Declared(name, type, default)

    def _type(self) -> str:
        self._enter()
        if self._take("["):
            text = f"[{self._type()}]"
            self._expect("]")
        else:
            text = self._name()
        self._depth -= 1
        return text + ("!" if self._take("!") else "")

    def _selections(self) -> tuple[Selection, ...]:
        self._enter()
        found = self._within("{", "}", self._selection)
        if not found:
            raise self._wrong("a field", self._tokens[self._at - 1])
        self._depth -= 1
        return tuple(found)

    def _selection(self) -> Selection:
        place = self._next.place
        if self._take("..."):
            return self._spread(place)
        name, alias = self._name(), ""
        if self._take(":"):
            name, alias = self._name(), name
        arguments, directives = self._arguments(), self._directives()
        return Field(name, alias, arguments, directives, self._selections() if self._is("{") else (), place)

    def _spread(self, place: str) -> Spread:
        if self._next.kind == "name" and not self._is("on"):
            return Spread(self._name(), "", self._directives(), (), place)
        type = self._name() if self._take("on") else ""
        return Spread("", type, self._directives(), self._selections(), place)

    def _directives(self) -> Directives:
        found = []
        while self._take("@"):
            found.append(Directive(self._name(), self._arguments()))
        return tuple(found)

    def _arguments(self) -> dict[str, Any]:
        return self._named("(", ")") if self._is("(") else {}

    def _named(self, opens: str, closes: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in self._within(opens, closes, self._pair):
            if name in found:
                raise InvalidSyntax("one name stands twice here", where=f"query {self._next.place}")
            found[name] = value
        return found

    def _pair(self) -> tuple[str, Any]:
        name = self._name()
        self._expect(":")
        return name, self._value()

    def _value(self) -> Any:
        if self._is("{"):
            self._enter()
            made = self._named("{", "}")
            self._depth -= 1
            return made
        if self._is("["):
            self._enter()
            items = self._within("[", "]", self._value)
            self._depth -= 1
            return items
        if self._take("$"):
            return Variable(self._name())
        return self._simple(self._advance())

    def _simple(self, token: Token) -> Any:
        if token.kind == "name":
            return _VALUES[token.text] if token.text in _VALUES else Word(token.text)
        if token.kind == "string":
            return token.text
        if token.kind in ("int", "float") and len(token.text) <= 40:
            return int(token.text) if token.kind == "int" else Decimal(token.text)
        raise self._wrong("a value", token)

    # --- tokens

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _advance(self) -> Token:
        token = self._tokens[self._at]
        if token.kind == "end":
            raise self._wrong("more", token)
        self._at += 1
        return token

    def _is(self, text: str) -> bool:
        return self._next.text == text and self._next.kind in ("mark", "name")

    def _take(self, text: str) -> bool:
        found = self._is(text)
        self._at += found
        return found

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(text, self._next)

    def _name(self) -> str:
        if self._next.kind != "name":
            raise self._wrong("a name", self._next)
        return self._advance().text

    def _within(self, opens: str, closes: str, one: Any) -> list[Any]:
        self._expect(opens)
        found = []
        while not self._take(closes):
            found.append(one())
        return found

    def _enter(self) -> None:
        self._depth += 1
        if self._depth > DEEPEST:
            raise InvalidSyntax(f"nested deeper than {DEEPEST}", where=f"query {self._next.place}")

    def _wrong(self, wanted: str, token: Token) -> InvalidSyntax:
        return InvalidSyntax(f"the query is broken here: {wanted} is missing", where=f"query {token.place}")
