"""Reads UCUM unit expressions and converts between commensurable ones (https://ucum.org/ucum)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Final

Dimension = tuple[tuple[str, int], ...]

LONGEST: Final = 80  # characters of a unit that is worth reading
_EXPONENT: Final = 40
_DIGITS = Context(prec=28)


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit stands for: so many of the base units of `dimension`, from `offset` on (temperatures)."""

    factor: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)

    @property
    def code(self) -> str:
        """The canonical unit as UCUM text: `g.m-3`, `1`."""
        return ".".join(base if power == 1 else f"{base}{power}" for base, power in self.dimension) or "1"


_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "d": -1, "c": -2, "m": -3,
    "u": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_BASES = ("m", "s", "g", "rad", "K", "C", "cd")

# unit -> (number, of what); these take prefixes
_METRIC: dict[str, tuple[str, str]] = {
    "mol": ("6.0221367e23", "1"), "eq": ("1", "mol"), "osm": ("1", "mol"), "sr": ("1", "rad2"), "Hz": ("1", "s-1"),
    "N": ("1", "kg.m/s2"), "Pa": ("1", "N/m2"), "J": ("1", "N.m"), "W": ("1", "J/s"), "A": ("1", "C/s"),
    "V": ("1", "J/C"), "F": ("1", "C/V"), "Ohm": ("1", "V/A"), "S": ("1", "Ohm-1"), "mho": ("1", "S"),
    "Wb": ("1", "V.s"), "T": ("1", "Wb/m2"), "H": ("1", "Wb/A"), "lm": ("1", "cd.sr"), "lx": ("1", "lm/m2"),
    "Bq": ("1", "s-1"), "Gy": ("1", "J/kg"), "Sv": ("1", "J/kg"), "kat": ("1", "mol/s"), "U": ("1", "umol/min"),
    "l": ("1", "dm3"), "L": ("1", "dm3"), "ar": ("100", "m2"), "t": ("1000", "kg"), "bar": ("100000", "Pa"),
    "u": ("1.6605402e-24", "g"), "eV": ("1.60217733e-19", "J"), "pc": ("3.085678e16", "m"), "g%": ("1", "g/dl"),
    "m[H2O]": ("9.80665", "kPa"), "m[Hg]": ("133.322", "kPa"), "cal": ("4.184", "J"), "cal_th": ("4.184", "J"),
    "cal_IT": ("4.1868", "J"), "cal_m": ("4.19002", "J"), "cal_[15]": ("4.1858", "J"), "cal_[20]": ("4.1819", "J"),
    "dyn": ("1", "g.cm/s2"), "erg": ("1", "dyn.cm"), "P": ("1", "dyn.s/cm2"), "St": ("1", "cm2/s"),
    "gf": ("9.80665", "g.m/s2"), "Ci": ("3.7e10", "Bq"), "R": ("2.58e-4", "C/kg"), "RAD": ("100", "erg/g"),
    "REM": ("1", "RAD"), "G": ("1e-4", "T"), "Mx": ("1e-8", "Wb"), "Gal": ("1", "cm/s2"), "bit": ("1", "1"),
    "By": ("8", "bit"), "Bd": ("1", "s-1"), "st": ("1", "m3"), "[g]": ("9.80665", "m/s2"), "[c]": ("299792458", "m/s"),
    "[ly]": ("1", "[c].a_j"), "[e]": ("1.60217733e-19", "C"), "[h]": ("6.6260755e-34", "J.s"), "[k]": ("1.380658e-23", "J/K"),
}  # fmt: skip

# these take none
_PLAIN: dict[str, tuple[str, str]] = {
    "10*": ("10", "1"), "10^": ("10", "1"), "[pi]": ("3.1415926535897932384626433832795", "1"), "%": ("0.01", "1"),
    "[ppth]": ("1e-3", "1"), "[ppm]": ("1e-6", "1"), "[ppb]": ("1e-9", "1"), "[pptr]": ("1e-12", "1"),
    "min": ("60", "s"), "h": ("60", "min"), "d": ("24", "h"), "wk": ("7", "d"), "a_t": ("365.24219", "d"),
    "a_j": ("365.25", "d"), "a_g": ("365.2425", "d"), "a": ("1", "a_j"), "mo_j": ("30.4375", "d"), "mo": ("1", "mo_j"),
    "mo_g": ("30.436875", "d"), "mo_s": ("29.53059", "d"), "AU": ("149597.870691", "Mm"),
    "deg": ("0.017453292519943295769236907684886", "rad"), "gon": ("0.9", "deg"), "'": ("1", "deg/60"),
    "''": ("1", "'/60"), "circ": ("360", "deg"), "atm": ("101325", "Pa"), "att": ("1", "kgf/cm2"), "b": ("100", "fm2"),
    "Ao": ("0.1", "nm"), "[psi]": ("1", "[lbf_av]/[in_i]2"), "[diop]": ("1", "m-1"),
    "[in_i]": ("2.54", "cm"), "[ft_i]": ("12", "[in_i]"), "[yd_i]": ("3", "[ft_i]"), "[mi_i]": ("5280", "[ft_i]"),
    "[fth_i]": ("6", "[ft_i]"), "[nmi_i]": ("1852", "m"), "[kn_i]": ("1", "[nmi_i]/h"), "[mil_i]": ("0.001", "[in_i]"),
    "[hd_i]": ("4", "[in_i]"), "[sin_i]": ("1", "[in_i]2"), "[sft_i]": ("1", "[ft_i]2"), "[syd_i]": ("1", "[yd_i]2"),
    "[cin_i]": ("1", "[in_i]3"), "[cft_i]": ("1", "[ft_i]3"), "[cyd_i]": ("1", "[yd_i]3"),
    "[in_i'H2O]": ("25.4", "mm[H2O]"), "[in_i'Hg]": ("25.4", "mm[Hg]"), "[ft_us]": ("1200", "m/3937"),
    "[in_us]": ("1", "[ft_us]/12"), "[yd_us]": ("3", "[ft_us]"), "[mi_us]": ("5280", "[ft_us]"),
    "[acr_us]": ("43560", "[ft_us]2"), "[gal_us]": ("231", "[in_i]3"), "[bbl_us]": ("42", "[gal_us]"),
    "[qt_us]": ("1", "[gal_us]/4"), "[pt_us]": ("1", "[qt_us]/2"), "[gil_us]": ("1", "[pt_us]/4"),
    "[foz_us]": ("1", "[gil_us]/4"), "[fdr_us]": ("1", "[foz_us]/8"), "[min_us]": ("1", "[fdr_us]/60"),
    "[cup_us]": ("8", "[foz_us]"), "[tbs_us]": ("1", "[foz_us]/2"), "[tsp_us]": ("1", "[tbs_us]/3"),
    "[cup_m]": ("240", "mL"), "[foz_m]": ("30", "mL"), "[tbs_m]": ("15", "mL"), "[tsp_m]": ("5", "mL"),
    "[gal_br]": ("4.54609", "l"), "[qt_br]": ("1", "[gal_br]/4"), "[pt_br]": ("1", "[qt_br]/2"),
    "[gil_br]": ("1", "[pt_br]/4"), "[foz_br]": ("1", "[gil_br]/5"), "[fdr_br]": ("1", "[foz_br]/8"),
    "[min_br]": ("1", "[fdr_br]/60"), "[gr]": ("64.79891", "mg"), "[lb_av]": ("7000", "[gr]"),
    "[oz_av]": ("1", "[lb_av]/16"), "[dr_av]": ("1", "[oz_av]/16"), "[ston_av]": ("2000", "[lb_av]"),
    "[lton_av]": ("2240", "[lb_av]"), "[stone_av]": ("14", "[lb_av]"), "[lbf_av]": ("1", "[lb_av].[g]"),
    "[pwt_tr]": ("24", "[gr]"), "[oz_tr]": ("20", "[pwt_tr]"), "[lb_tr]": ("12", "[oz_tr]"), "[oz_m]": ("28", "g"),
    "[sc_ap]": ("20", "[gr]"), "[dr_ap]": ("3", "[sc_ap]"), "[oz_ap]": ("8", "[dr_ap]"), "[lb_ap]": ("12", "[oz_ap]"),
    "[drp]": ("1", "ml/20"), "[Ch]": ("1", "mm/3"), "[car_m]": ("0.2", "g"), "[HPF]": ("1", "1"), "[LPF]": ("100", "1"),
    "[S]": ("1e-13", "s"), "[Cal]": ("1", "kcal_th"), "[Btu]": ("1.05505585262", "kJ"), "[HP]": ("550", "[ft_i].[lbf_av]/s"),
    "[MET]": ("3.5", "mL/min/kg"), "[PRU]": ("1", "mm[Hg].s/ml"), "[wood'U]": ("1", "mm[Hg].min/L"),
    "[degR]": ("1", "K.5/9"),
}  # fmt: skip

# degrees: (kelvins in one, kelvins at zero)
_DEGREES: dict[str, tuple[Fraction, Fraction]] = {
    "Cel": (Fraction(1), Fraction("273.15")),
    "[degF]": (Fraction(5, 9), Fraction("459.67") * 5 / 9),
    "[degRe]": (Fraction(5, 4), Fraction("273.15")),
}

# comparable only with themselves: arbitrary and logarithmic units
_LONELY_METRIC = frozenset({"[iU]", "[IU]", "[EU]", "[BAU]", "[APL'U]", "[GPL'U]", "[MPL'U]", "B", "Np", "B[SPL]"})
_LONELY = frozenset({
    "[arb'U]", "[USP'U]", "[beth'U]", "[anti'Xa'U]", "[todd'U]", "[dye'U]", "[smgy'U]", "[bdsk'U]", "[ka'U]", "[knk'U]",
    "[mclg'U]", "[tb'U]", "[CCID_50]", "[TCID_50]", "[EID_50]", "[PFU]", "[FFU]", "[CFU]", "[IR]", "[AU]", "[PNU]",
    "[Lf]", "[D'ag'U]", "[FEU]", "[ELU]", "[Amb'a'1'U]", "[pH]", "[hnsf'U]", "[acr_br]", "[hp_X]", "[hp_C]", "[hp_M]",
})  # fmt: skip
_SAME = {"[IU]": "[iU]"}

_TOKEN = re.compile(
    r"(?P<annotation>\{[^{}]*\})|(?P<atom>(?:10[*^]|(?:\[[^\[\]{}\s]*\]|[A-Za-z%'_])+))(?P<power>[+-]?\d+)?"
    r"|(?P<number>\d+)|(?P<symbol>[./()])"
)


@lru_cache(2048)
def unit(code: str) -> Unit | None:
    """What a UCUM code stands for; None when it is none (or one that this table does not know)."""
    if not code or len(code) > LONGEST:
        return None
    try:
        return _degrees(code) or _Reader(code).whole()
    except (_Unknown, ZeroDivisionError):
        return None


def _degrees(code: str) -> Unit | None:
    for name, (scale, zero) in _DEGREES.items():
        if code.endswith(name) and (code == name or code[: -len(name)] in _PREFIXES):
            power = _PREFIXES.get(code[: -len(name)], 0)
            return Unit(scale * Fraction(10) ** power, (("K", 1),), zero)
    return None


class _Unknown(Exception):
    pass


class _Reader:
    """Reads one unit expression from left to right."""

    def __init__(self, code: str) -> None:
        self.tokens = list(self._tokens(code))
        self.at = 0

    @staticmethod
    def _tokens(code: str) -> list[re.Match[str]]:
        found, at = [], 0
        while at < len(code):
            match = _TOKEN.match(code, at)
            if match is None:
                raise _Unknown
            found.append(match)
            at = match.end()
        return found

    def whole(self) -> Unit:
        result = self.expression(0)
        if self.at != len(self.tokens):
            raise _Unknown
        return result

    def symbol(self) -> str:
        return (self.tokens[self.at]["symbol"] or "") if self.at < len(self.tokens) else ""

    def expression(self, depth: int) -> Unit:
        if self.symbol() == "/":
            self.at += 1
            result = _power(self.component(depth), -1)
        else:
            result = self.component(depth)
        while (symbol := self.symbol()) in ("/", ".") and symbol:
            self.at += 1
            result = _product(result, _power(self.component(depth), 1 if symbol == "." else -1))
        return result

    def component(self, depth: int) -> Unit:
        if self.at >= len(self.tokens) or depth > 10:
            raise _Unknown
        token = self.tokens[self.at]
        self.at += 1
        if token["symbol"] == "(":
            result = self.expression(depth + 1)
            if self.symbol() != ")":
                raise _Unknown
            self.at += 1
            if self.at < len(self.tokens) and self.tokens[self.at]["annotation"]:
                self.at += 1
            return result
        return self.simple(token)

    def simple(self, token: re.Match[str]) -> Unit:
        if token["symbol"]:
            raise _Unknown
        if token["annotation"]:
            return ONE
        if token["number"] and not token["number"].strip("0"):
            raise _Unknown
        if token["number"]:
            result = Unit(Fraction(int(token["number"])), ())
        else:
            result = _power(_atom(token["atom"]), _exponent(token["power"]))
        if self.at < len(self.tokens) and self.tokens[self.at]["annotation"]:
            self.at += 1
        return result


ONE = Unit(Fraction(1), ())


def _exponent(text: str | None) -> int:
    power = int(text) if text else 1
    if abs(power) > _EXPONENT:
        raise _Unknown
    return power


@lru_cache(1024)
def _atom(name: str) -> Unit:
    found = _exact(name, metric=False)
    if found:
        return found
    for prefix, power in _PREFIXES.items():
        if name.startswith(prefix) and (rest := _exact(name[len(prefix) :], metric=True)):
            return Unit(rest.factor * Fraction(10) ** power, rest.dimension)
    for prefix, times in _BINARY.items():
        if name.startswith(prefix) and name[len(prefix) :] in ("bit", "By"):
            return _power(Unit(_atom(name[len(prefix) :]).factor * times, ()), 1)
    raise _Unknown


def _exact(name: str, *, metric: bool) -> Unit | None:
    if name in _BASES:
        return Unit(Fraction(1), ((name, 1),))
    if name in _LONELY_METRIC or (not metric and name in _LONELY):
        return Unit(Fraction(1), ((_SAME.get(name, name), 1),))
    if name in _DEGREES:
        return Unit(_DEGREES[name][0], (("K", 1),))
    row = _METRIC.get(name) or (None if metric else _PLAIN.get(name))
    return _derived(row) if row else None


def _derived(row: tuple[str, str]) -> Unit:
    below = unit(row[1]) if row[1] != "1" else ONE
    if below is None:
        raise _Unknown
    return Unit(Fraction(row[0]) * below.factor, below.dimension)


def _power(base: Unit, power: int) -> Unit:
    if power == 1:
        return base
    return Unit(base.factor**power, tuple((name, exponent * power) for name, exponent in base.dimension if power))


def _product(left: Unit, right: Unit) -> Unit:
    powers = dict(left.dimension)
    for name, power in right.dimension:
        powers[name] = powers.get(name, 0) + power
    dimension = tuple(sorted((name, power) for name, power in powers.items() if power))
    if any(abs(power) > _EXPONENT for _, power in dimension):
        raise _Unknown
    return Unit(left.factor * right.factor, dimension)


# --- what others ask


def canonical(value: Decimal, code: str) -> tuple[Fraction, str] | None:
    """The value in base units and their UCUM text; equal canonical units are commensurable. None: unknown unit."""
    found = unit(code)
    return None if found is None else (Fraction(value) * found.factor + found.offset, found.code)


def comparable(left: str, right: str) -> bool:
    """Whether one unit converts to the other."""
    one, other = unit(left), unit(right)
    return one is not None and other is not None and one.dimension == other.dimension


def convert(value: Decimal, source: str, target: str) -> Decimal | None:
    """The value in another unit, 28 digits exact; None when the units are not commensurable."""
    if source == target:
        return value
    one, other = unit(source), unit(target)
    if one is None or other is None or one.dimension != other.dimension:
        return None
    return decimal((Fraction(value) * one.factor + one.offset - other.offset) / other.factor)


def decimal(number: Fraction) -> Decimal:
    """A fraction as a decimal of at most 28 digits."""
    return _DIGITS.divide(Decimal(number.numerator), Decimal(number.denominator))


def finer(left: str, right: str) -> str | None:
    """The smaller of two commensurable units (the left one when they are equal); else None."""
    one, other = unit(left), unit(right)
    if one is None or other is None or one.dimension != other.dimension:
        return None
    return right if other.factor < one.factor else left


def multiply(left: str, right: str) -> str | None:
    """The product of two units as UCUM text."""
    if unit(left) is None or unit(right) is None:
        return None
    return right if left == "1" else left if right == "1" else f"{_single(left)}.{_single(right)}"


def divide(left: str, right: str) -> str | None:
    """The quotient of two units as UCUM text."""
    if unit(left) is None or unit(right) is None:
        return None
    if left == right:
        return "1"
    return left if right == "1" else f"{'' if left == '1' else _single(left)}/{_single(right)}"


def _single(code: str) -> str:
    return f"({code})" if any(symbol in code for symbol in "./") else code
