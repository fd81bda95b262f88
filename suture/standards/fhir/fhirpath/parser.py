"""Builds the syntax tree by precedence climbing (http://hl7.org/fhirpath/N1/grammar.html)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import suture.standards.fhir.fhirpath.lexer as lexer
import suture.standards.fhir.fhirpath.tree as tree
from suture.errors import InvalidSyntax
from suture.standards.fhir.fhirpath.lexer import Token
from suture.standards.fhir.fhirpath.moments import Date, DateTime, Time
from suture.standards.fhir.fhirpath.quantity import CALENDAR, Quantity

DEEPEST = 100  # levels of nesting or of chaining

PRECEDENCE = {
    "implies": 1, "or": 2, "xor": 2, "and": 3, "in": 4, "contains": 4, "=": 5, "~": 5, "!=": 5, "!~": 5,
    "<": 6, ">": 6, "<=": 6, ">=": 6, "|": 7, "is": 8, "as": 8, "+": 9, "-": 9, "&": 9,
    "*": 10, "/": 10, "div": 10, "mod": 10,
}  # fmt: skip
UNARY = 11
FLAT = frozenset({"|", "and", "or"})
RESERVED = frozenset({"and", "or", "xor", "implies", "div", "mod"})
DIRECTIONS = {"asc": False, "desc": True}


def parse(text: str, *, locations: bool = False, components: Sequence[str] = ()) -> tree.Syntax:
    """The tree of an expression; raises InvalidSyntax naming the column."""
    parser = _Parser(lexer.tokens(text, locations=locations, components=components))
    result = parser.expression(0)
    if parser.token.kind != "end":
        raise parser.unexpected("an operator or the end")
    return result


class _Parser:
    def __init__(self, found: list[Token]) -> None:
        self.found = found
        self.at = 0
        self.token = found[0]
        self.nesting = 0

    # --- moving

    def advance(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.at += 1
            self.token = self.found[self.at]
        return token

    def next_is(self, symbol: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == symbol

    def expect(self, symbol: str) -> Token:
        if not self.next_is(symbol):
            raise self.unexpected(f"'{symbol}'")
        return self.advance()

    def unexpected(self, wanted: str) -> InvalidSyntax:
        token = self.token
        seen = f"'{token.text[:40]}'" if token.kind != "end" else "the end"
        return InvalidSyntax(f"{seen} where {wanted} is expected", where=f"column {token.column}")

    def depth(self, column: int, *nodes: tree.Syntax | None) -> int:
        depth = 1 + max((node.depth for node in nodes if node), default=0)
        if depth > DEEPEST:
            raise self.too_deep(column)
        return depth

    @staticmethod
    def too_deep(column: int) -> InvalidSyntax:
        return InvalidSyntax(f"more than {DEEPEST} levels of nesting", where=f"column {column}", mend="Split it.")

    # --- operators

    def expression(self, least: int) -> tree.Syntax:
        self.nesting += 1
        if self.nesting > DEEPEST:
            raise self.too_deep(self.token.column)
        left = self.unary()
        while (power := self.power()) > least:
            left = self.operation(left, power)
        self.nesting -= 1
        return left

    def power(self) -> int:
        """How strongly the token binds as an infix operator; 0 when it is none."""
        return PRECEDENCE.get(self.token.text, 0) if self.token.kind in ("symbol", "identifier") else 0

    def operation(self, left: tree.Syntax, power: int) -> tree.Syntax:
        token = self.advance()
        if token.text in ("is", "as"):
            return tree.TypeTest(token.column, self.depth(token.column, left), token.text, left, self.type_name())
        right = self.expression(power)
        if token.text in FLAT and isinstance(left, tree.Operation) and left.operator == token.text:
            operands = (*left.operands, right)
            depth = max(left.depth, self.depth(token.column, right))
            return tree.Operation(left.column, depth, token.text, operands)
        return tree.Operation(token.column, self.depth(token.column, left, right), token.text, (left, right))

    def unary(self) -> tree.Syntax:
        if self.token.kind == "symbol" and self.token.text in "+-":
            token = self.advance()
            operand = self.expression(UNARY)
            return tree.Unary(token.column, self.depth(token.column, operand), token.text, operand)
        return self.postfix(self.term())

    def type_name(self) -> str:
        names = [self.name()]
        while self.next_is("."):
            self.advance()
            names.append(self.name())
        return ".".join(names)

    # --- terms

    def postfix(self, left: tree.Syntax) -> tree.Syntax:
        while True:
            if self.next_is("."):
                self.advance()
                left = self.invocation(left)
            elif self.next_is("["):
                left = self.indexed(left)
            else:
                return left

    def indexed(self, source: tree.Syntax) -> tree.Syntax:
        token = self.advance()
        index = self.expression(0)
        self.expect("]")
        return tree.Index(token.column, self.depth(token.column, source, index), source, index)

    def invocation(self, source: tree.Syntax | None) -> tree.Syntax:
        if source and self.token.kind == "special":
            raise self.unexpected("a name")
        column, name = self.token.column, self.name(behind_dot=source is not None)
        if not self.next_is("("):
            return tree.Member(column, self.depth(column, source), source, name)
        self.advance()
        arguments = self.arguments(name)
        return tree.Call(column, self.depth(column, source, *arguments), source, name, arguments)

    def arguments(self, function: str) -> tuple[tree.Syntax, ...]:
        found: list[tree.Syntax] = []
        while not self.next_is(")"):
            if found:
                self.expect(",")
            argument = self.expression(0)
            found.append(self.directed(argument) if function == "sort" else argument)
        self.advance()
        return tuple(found)

    def directed(self, key: tree.Syntax) -> tree.Syntax:
        """A key of sort(): `key desc`, or `-key` as older texts write it."""
        if isinstance(key, tree.Unary) and key.operator == "-":
            return tree.Sorted(key.column, key.depth, key.operand, True)
        descending = False
        if self.token.kind == "identifier" and self.token.text in DIRECTIONS:
            descending = DIRECTIONS[self.advance().text]
        return tree.Sorted(key.column, key.depth, key, descending)

    def name(self, behind_dot: bool = False) -> str:
        """A name; behind a dot an operator's word (`text.div`) can be nothing else."""
        token = self.token
        if token.kind == "delimited":
            return lexer.unescape(self.advance())
        if token.kind != "identifier" or (token.text in RESERVED and not behind_dot):
            raise self.unexpected("a name")
        return self.advance().text

    def term(self) -> tree.Syntax:
        if reader := _TERMS.get(self.token.kind):
            return reader(self)
        if self.next_is("("):
            return self.parenthesis()
        if self.next_is("{"):
            column = self.advance().column
            self.expect("}")
            return tree.Literal(column, 1, ())
        raise self.unexpected("a value, a name or '('")

    def parenthesis(self) -> tree.Syntax:
        self.advance()
        inner = self.expression(0)
        self.expect(")")
        return inner

    def word(self) -> tree.Syntax:
        if self.token.text in ("true", "false") and self.token.kind == "identifier":
            token = self.advance()
            return tree.Literal(token.column, 1, (token.text == "true",))
        return self.invocation(None)

    def string(self) -> tree.Syntax:
        token = self.advance()
        return tree.Literal(token.column, 1, (lexer.unescape(token),))

    def number(self) -> tree.Syntax:
        token = self.advance()
        value = _number(token)
        if self.token.kind == "string":
            return tree.Literal(token.column, 1, (Quantity(Decimal(value), lexer.unescape(self.advance())),))
        if self.token.kind == "identifier" and self.token.text in CALENDAR:
            return tree.Literal(token.column, 1, (Quantity(Decimal(value), self.advance().text, calendar=True),))
        return tree.Literal(token.column, 1, (value,))

    def moment(self) -> tree.Syntax:
        token = self.advance()
        value = _MOMENTS[token.kind](token.text[1:])
        if value is None:
            raise InvalidSyntax(f"{token.text} is no real {token.kind}", where=f"column {token.column}")
        return tree.Literal(token.column, 1, (value,))

    def special(self) -> tree.Syntax:
        token = self.advance()
        return tree.Special(token.column, 1, token.text)

    def external(self) -> tree.Syntax:
        token = self.advance()
        quoted = token.text[1] in "'`\""
        name = lexer.unescape(Token("string", token.text[1:], token.column)) if quoted else token.text[1:]
        return tree.External(token.column, 1, name)

    def location(self) -> tree.Syntax:
        token = self.advance()
        return tree.Location(token.column, 1, token.text)


def _number(token: Token) -> int | Decimal:
    text = token.text.removesuffix("L")
    if len(text) > 40:
        raise InvalidSyntax("a number of more than 40 digits", where=f"column {token.column}")
    return Decimal(text) if "." in text else int(text)


def _time(text: str) -> Time | None:
    return Time.parse(text[1:])


_MOMENTS: dict[str, Callable[[str], Date | DateTime | Time | None]] = {
    "date": Date.parse,
    "datetime": DateTime.parse,
    "time": _time,
}

_TERMS: dict[str, Callable[[_Parser], tree.Syntax]] = {
    "identifier": _Parser.word,
    "delimited": _Parser.word,
    "string": _Parser.string,
    "number": _Parser.number,
    "date": _Parser.moment,
    "datetime": _Parser.moment,
    "time": _Parser.moment,
    "special": _Parser.special,
    "external": _Parser.external,
    "location": _Parser.location,
}
