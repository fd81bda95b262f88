"""UCUM: what a unit stands for, and exact conversion."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.standards import ucum

CODES = sorted([*ucum._METRIC, *ucum._PLAIN, *ucum._DEGREES, *ucum._LONELY, *ucum._LONELY_METRIC])


@pytest.mark.parametrize("code", CODES)
def test_every_unit_of_the_tables_is_read(code: str) -> None:
    assert ucum.unit(code) is not None


@pytest.mark.parametrize(
    ("value", "source", "target", "wanted"),
    [
        ("185", "[lb_av]", "kg", "83.91458845"),
        ("37", "Cel", "[degF]", "98.6"),
        ("98.6", "[degF]", "Cel", "37"),
        ("1", "[in_i]", "cm", "2.54"),
        ("120", "mm[Hg]", "Pa", "15998.64"),
        ("5.5", "mmol/L", "umol/mL", "5.5"),
        ("1", "g/dL", "mg/mL", "10"),
        ("7", "d", "wk", "1"),
        ("1", "[foz_us]", "mL", "29.5735295625"),
        ("60", "/min", "Hz", "1"),
        ("4", "10*3/uL", "10*9/L", "4"),
        ("90", "mL/min/{1.73_m2}", "mL/min", "90"),
        ("1", "kcal_th", "J", "4184"),
        ("1", "k[iU]/L", "[IU]/mL", "1"),
        ("1", "KiBy", "bit", "8192"),
        ("6", "%", "1", "0.06"),
    ],
)
def test_conversion(value: str, source: str, target: str, wanted: str) -> None:
    assert ucum.convert(Decimal(value), source, target) == Decimal(wanted)


@pytest.mark.parametrize(
    "code", ["", "foo", "m2m", "mg//L", "(m", "m)", "m^2", "mg/", ".m", "m" * 200, "10*999", "mm3000", "kfoo"]
)
def test_what_is_no_unit_is_none(code: str) -> None:
    assert ucum.unit(code) is None
    assert ucum.canonical(Decimal(1), code) is None


def test_other_dimensions_do_not_compare() -> None:
    assert ucum.convert(Decimal(1), "m", "s") is None
    assert not ucum.comparable("[IU]", "g")
    assert not ucum.comparable("m", "m2")
    assert ucum.finer("m", "s") is None


def test_the_finer_of_two_units() -> None:
    assert ucum.finer("g", "mg") == "mg"
    assert ucum.finer("mg", "g") == "mg"
    assert ucum.finer("L", "l") == "L"


def test_products_and_quotients_are_units_again() -> None:
    assert ucum.multiply("cm", "m") == "cm.m"
    assert ucum.divide("g/L", "mol/L") == "(g/L)/(mol/L)"
    assert ucum.divide("m", "m") == "1"
    assert ucum.divide("1", "min") == "/min"
    assert ucum.multiply("foo", "m") is None


@given(st.text("mgkL/.()[]{}10*-2'%sdaul", max_size=20))
def test_any_text_is_a_unit_or_none(code: str) -> None:
    found = ucum.unit(code)
    assert found is None or found.factor > 0


@given(st.sampled_from(CODES), st.decimals(-1000, 1000, places=3))
def test_a_unit_converts_to_itself(code: str, value: Decimal) -> None:
    assert ucum.convert(value, code, f"{code}{{x}}" if code not in ucum._DEGREES else code) == value
