"""The examples of the standard's text and what R4 adds, beyond the official suite."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from suture.errors import Inapplicable, InvalidSyntax
from suture.standards.fhir.fhirpath import Environment, compile

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)

TRUE = """
1 'cm' = 10.0 'mm'
(1 'cm' = 1 'm') = false
(1 'cm' = 1 's').empty()
23 'Cel' = 73.4 '[degF]'
1 'h' = 3600 's'
1 hour = 3600 's'
(1 year = 1 'a').empty()
1 year = 12 months
(1 year = 12 'mo').empty()
1 year = 365 days
1 month = 30 days
1 year != 360 days
1 year ~ 1 'a'
1 year ~ 12 'mo'
1 year ~ 11 months
1 second ~ 1 's'
1 second = 1 's'
1 week = 7 'd'
21 'mm' ~ 2 'cm'
1 '[in_i]' ~ 2.5 'cm'
23 ~ 23 '1'
'a b' ~ 'a\\tb'
('a     b' ~ 'a b') = false
1.20 ~ 1.2
(@2012-01 = @2012).empty()
@2012-01-01T10:30:31.0 = @2012-01-01T10:30:31
(@2012-01-01T10:30:31 = @2012-01-01T10:30).empty()
@1973-12-25 + 7.9 days = @1974-01-01
@2019-03-01 + 24 months = @2021-03-01
@2026-01-31 + 1 month = @2026-02-28
@2024-02-29 + 1 year = @2025-02-28
@1973-12-25T00:00:00.000+10:00 + 42.53 seconds = @1973-12-25T00:00:42.530+10:00
@T23:30:00 + 1 hour = @T00:30:00
@T01:00:00 + 48 hours = @T01:00:00
@T00:30:00 - 1 hour = @T23:30:00
@2014 + 24 months = @2016
@2014 + 23 months = @2015
@2016 + 365 days = @2017
@2014 + 11 months = @2014
@2026-02 + 5 weeks = @2026-03
@2026-02 + 4 weeks = @2026-02
@2014 - 24 months = @2012
@2014 - 1 month = @2014
@2026-02 - 1 day = @2026-02
@9999-12-31 + 1 day = {} or true
(@9999-12-31 + 1 day).empty()
@2026-03-01T00:30 - 1 hour = @2026-02-28T23:30
3 'g' + 500 'mg' = 3500 'mg'
(3 'g' + 500 'mg').toString() = '3500 \\'mg\\''
(3 'g' - 1 's').empty()
-(5 'mg') = -5 'mg'
5 mod 2 = 1
-5 mod 3 = -2
-5 div 3 = -1
(2147483647 + 1).empty()
2.power(100).empty()
(1|2|3).sum() = 6
(1|2).avg() = 1.5
(1.0|2.5).max() = 2.5
('b'|'a').min() = 'a'
(3 | 1 | 2).sort($this desc).first() = 3
{}.sort().empty()
'abc'.lastIndexOf('b') = 1
'abc'.substring(1, 0) = ''
'a,b'.split(',').join(';') = 'a;b'
'x'.encode('unknown').empty()
'-'.decode('hex').empty()
'abc'.replaceMatches('(b)(c)', '$2$1') = 'acb'
'ABC'.matches('abc', 'i')
'7'.toLong() = 7
'12.5'.toDecimal() = 12.5
'4 days'.toQuantity() = 4 days
1 'g'.toQuantity('mg') = 1000 'mg'
@2014-05-06T10:11:12.345+02:30.yearOf() = 2014
@2014-05-06T10:11:12.345+02:30.monthOf() = 5
@2014-05-06T10:11:12.345+02:30.dayOf() = 6
@2014-05-06T10:11:12.345+02:30.hourOf() = 10
@2014-05-06T10:11:12.345+02:30.minuteOf() = 11
@2014-05-06T10:11:12.345+02:30.secondOf() = 12
@2014-05-06T10:11:12.345+02:30.millisecondOf() = 345
@2014-05-06T10:11:12.345+02:30.timezoneOffsetOf() = 2.5
@2014-05-06T10:11:12.345+02:30.dateOf() = @2014-05-06
@2014-05-06T10:11:12.345+02:30.timeOf() = @T10:11:12.345
@T10:11.minuteOf() = 11
now() = @2026-11-25T09:30:00Z
today() = @2026-11-25
timeOfDay() = @T09:30:00
{}.coalesce({}, 2, 3) = 2
(1).defineVariable('x').select(%x + 1) = 2
(1 | 2 | 2.0).count() = 2
1 in (1.0 | 3)
('d' in {}) = false
(true and 'a') = true
%`ext-x` = 'http://hl7.org/fhir/StructureDefinition/x'
(1 | 2 | 3).where($index > 0).select($this * 10 + $index).last() = 31
(1|2|3).all($this > 0)
(true | false).anyTrue() and (true | false).anyFalse() and (false).allFalse()
Patient.exists() = false
(1 year + 12 months).empty()
(2 minutes + 60 seconds).toString() = '180 seconds'
(1 'wk' + 2 days).toString() = '9 days'
(3 'd' + 1 'wk').toString() = '10 \\'d\\''
(3 'm' + 3 'cm').toString() = '303 \\'cm\\''
(2 + 2 'cm').empty()
2 + 2 '1' = 4
1 year.comparable(1 'a') = false
2 '1'.comparable(3)
1 'Cel'.comparable(1 '[degF]')
'abcdefg'.substring(3, {}) = 'defg'
'abcdefg'.substring(3, -1) = ''
'abcdefg'.substring(-1, -1).empty()
''.substring(0).empty()
@2025-01-02.duration(@2025-01-07, 'week') = 0
@2024-12-01.duration(@2025-09-01, 'year') = 0
@2024-12-01.duration(@2025-12-01, 'years') = 1
@2025-09-01.duration(@2024-12-01, 'month') = -9
@2025-01-01T10:00:00+02:00.duration(@2025-01-01T10:30:00Z, 'hour') = 2
@T10:30.duration(@T12:00, 'hour') = 1
@2025.duration(@2026-02, 'month').empty()
@2025-01-02.difference(@2025-01-07, 'week') = 1
@2025-01-01.difference(@2025-09-01, 'year') = 0
@2024-12-01.difference(@2025-09-01, 'year') = 1
@2025-01-31.difference(@2025-02-01, 'month') = 1
@2025-02-01.difference(@2025-01-31, 'day') = -1
@T10:59.difference(@T11:00, 'hour') = 1
"""


@pytest.mark.parametrize("text", TRUE.strip().splitlines())
def test_true(text: str) -> None:
    assert compile(text).evaluate(None, Environment(now=NOW)) == [True]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(1 | 2) + 1", "'+' needs one value on each side"),
        ("1 < 'a'", "'<' can't compare values of these types"),
        ("@2020 < @T10", "'<' can't compare values of these types"),
        ("1 & 'a'", "'&' joins strings"),
        ("-'a'", "a sign stands before a number"),
        ("'a' - 'b'", "can't work on values of these types"),
        ("@T10 + 1 day", "a date moves by calendar units"),
        ("(1 | 2).single()", "single() found several items"),
        ("(1 | 2).toString()", "toString() needs one value"),
        ("1.startsWith('a')", "startsWith() needs a string"),
        ("(1 | 2)['a']", "a position is one whole number"),
        ("('a' | 1).allTrue()", "allTrue() needs booleans only"),
        ("now()", "no clock is at hand for now()"),
        ("%nothing", "there is no %nothing"),
        ("1.memberOf('x')", "no terminology is at hand"),
        ("(1 | 'a').sort()", "sort() can't compare"),
        ("@T10.duration(@T11, 'year')", "the time between such values can't be counted"),
        ("(1 | 2) and true", "one value is needed for a condition"),
    ],
)
def test_content_that_does_not_fit_is_told(text: str, message: str) -> None:
    with pytest.raises(Inapplicable) as caught:
        compile(text).evaluate(None)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("name.", "", "column 6: the end where a name is expected"),
        ("name.given = 'x", "", "column 14: a string without its closing '"),
        ("1 /* x", "", "column 3: "),
        (r"'\q'", "", r"column 1: the escape \q is unknown"),
        (r"'\ud83d'", "", "column 1: half of a surrogate pair"),
        ("where()", "", "column 1: where() takes 1 argument, not 0"),
        ("first(1)", "", "column 1: first() takes no argument, not 1"),
        ("@2015-13-01", "", "column 1: @2015-13-01 is no real date"),
        ("1.is(Foo)", "", "column 6: there is no type 'Foo'"),
        ("1.ofType('x')", "", "column 10: the name of a type is expected here"),
        ("value.unt", "Observation", "has no element 'unt'. Did you mean 'unit'?"),
        ("Patient.name", "Observation", "column 1: Patient can't begin a path of Observation"),
        ("name.given.startsWith(1).foo", "Patient", "column 26: System.Boolean has no element 'foo'"),
        ("name.where(given).use.upper().code", "Patient", "column 31"),
        ("children().first()", "Patient", ""),
        ("x", "Nobody", "column 1: there is no type 'Nobody'"),
    ],
)
def test_texts_that_are_wrong_name_the_column(text: str, kind: str, message: str) -> None:
    if not message:
        assert compile(text, type=kind)
        return
    with pytest.raises(InvalidSyntax) as caught:
        compile(text, type=kind)
    assert message in str(caught.value)


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "_birthDate": {"extension": [{"url": "u", "valueDateTime": "1974-12-25T14:35:45-05:00"}]},
    "birthDate": "1974-12-25",
    "name": [{"given": ["A", None], "_given": [None, {"extension": [{"url": "why", "valueCode": "masked"}]}]}],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/7"}, {"reference": "https://x.example/fhir/Organization/8"}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "O"}],
    "deceasedBoolean": False,
}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("birthDate.extension('u').value", ["1974-12-25T14:35:45-05:00"]),
        ("birthDate.extension('u').value is dateTime", [True]),
        ("name.given", ["A"]),
        ("name.given.count()", [2]),
        ("name.given.where(hasValue().not()).extension.value", ["masked"]),
        ("name.given.getValue()", []),
        ("managingOrganization.resolve().name", ["O"]),
        ("generalPractitioner.where(resolve() is Practitioner).reference", ["Practitioner/7"]),
        ("generalPractitioner.resolve().id", ["7", "8"]),
        ("contained.ofType(Organization).name", ["O"]),
        ("contained.where($this is DomainResource).id", ["o"]),
        ("deceased", [False]),
        ("deceased.not()", [True]),
        ("deceased as dateTime", []),
        ("(deceased as boolean).type().name", ["boolean"]),
        ("birthDate + 1 year = @1975-12-25", [True]),
        ("birthDate.substring(0, 4)", ["1974"]),
        ("birthDate.toString().length()", [10]),
        ("birthDate.is(date) and birthDate.is(System.Date).not()", [True]),
        ("descendants().ofType(dateTime)", ["1974-12-25T14:35:45-05:00"]),
        ("children().ofType(Organization).id", ["o"]),
        ("Resource.id.empty() and DomainResource.contained.exists()", [True]),
        ("type().name", ["Patient"]),
        ("%resource.contained.id", ["o"]),
        ("`birthDate` = %context.birthDate", [True]),
        ("contained.repeat(partOf).empty()", [True]),
        ("birthDate | birthDate | @1974-12-25", ["1974-12-25"]),
    ],
)
def test_the_r4_model(text: str, wanted: list[Any]) -> None:
    assert compile(text, type="Patient").evaluate(PATIENT) == wanted
    assert compile(text).evaluate(PATIENT) == wanted


def test_without_a_type_plain_structures_are_walked() -> None:
    content = {"a": [{"b": 1}, {"b": 2.5}], "valueQuantity": {"value": 5, "unit": "mg"}}
    assert compile("a.b.sum() = 3.5 and value.unit = 'mg' and value > 4 'mg'").holds(content)


def test_a_focus_of_several_items() -> None:
    assert compile("count() = 2 and $this.first() = 1").holds([1, 2])
    assert compile("exists()").holds([]) is False


def test_what_the_environment_brings() -> None:
    asked: list[Any] = []
    environment = Environment(
        resolve=lambda reference: {"resourceType": "Practitioner", "id": reference.upper()},
        member_of=lambda code, value_set: (code, value_set) == ("male", "vs"),
        conforms=lambda item, profile: profile == "p",
        variables={"mine": [1, 2]},
        trace=lambda name, items: asked.append((name, items)),
    )
    patient = PATIENT | {"gender": "male"}
    assert compile("generalPractitioner.first().resolve().id").evaluate(patient, environment) == ["PRACTITIONER/7"]
    assert compile("gender.memberOf('vs') and conformsTo('p') and %mine.count() = 2").holds(patient, environment)
    compile("name.trace('n', given)").evaluate(patient, environment)
    assert asked == [("n", ["A"])]


def test_quantities_that_are_not_exact_decide_nothing() -> None:
    def observation(**quantity: Any) -> dict[str, Any]:
        return {"resourceType": "Observation", "valueQuantity": quantity}

    ucum = {"system": "http://unitsofmeasure.org", "code": "mg"}
    assert compile("value > 4 'mg'").verdict(observation(value=5, **ucum)) is True
    assert compile("value > 4 'mg'").verdict(observation(value=5, comparator="<", **ucum)) is None
    assert compile("value > 4 'mg'").verdict(observation(value=5, system="urn:x", code="mg")) is None
    assert compile("value = value").verdict(observation(value=5, system="urn:x", code="pill")) is True


DIV = "<div xmlns='http://www.w3.org/1999/xhtml'>"


@pytest.mark.parametrize(
    ("div", "sound"),
    [
        (f"{DIV}<p class='x'>Hello</p></div>", True),
        (f"{DIV}<img src='#a'/></div>", True),
        (f"{DIV}  </div>", False),
        (f"{DIV}<script>1</script></div>", False),
        (f"{DIV}<p onclick='x'>a</p></div>", False),
        (f"{DIV}<a href=' javascript:x'>a</a></div>", False),
        ("<p xmlns='http://www.w3.org/1999/xhtml'>a</p>", False),
        (f"{DIV}a", False),
        ("<div>a</div>", False),
        (f"<!DOCTYPE div [<!ENTITY a 'b'>]>{DIV}&a;</div>", False),
    ],
)
def test_html_checks(div: str, sound: bool) -> None:
    resource = {"resourceType": "Patient", "text": {"status": "generated", "div": div}}
    assert compile("text.`div`.htmlChecks()").verdict(resource) is sound


def test_inside_an_argument_an_element_stands_nearer_than_a_root() -> None:
    environment = Environment(
        roots={"code": "root", "save": {"resourceType": "Bundle", "entry": [{"resource": PATIENT}]}}
    )
    expression = compile("save.entry.resource.where(id.empty() and name.given = code).exists()", roots=("save", "code"))
    assert expression.verdict(None, environment) is False
    coding = {"resourceType": "Patient", "maritalStatus": {"coding": [{"code": "M"}]}}
    found = compile("maritalStatus.coding.where(code = 'M').exists() and code = 'root'", roots=("code",))
    assert found.holds(coding, environment)


def test_what_is_no_text_is_no_sound_narrative() -> None:
    assert compile("1.htmlChecks()").verdict({}) is False
