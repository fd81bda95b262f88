"""How a value becomes rows, by kind of parameter and type of value: the lines that index_compile puts into its functions.

`{x}` is the value, `{v}` and `{w}` free names, `{system}` the code system a code implies; `#…#` is the number of the atom (of the
share the expression between picks, when an atom is shared out). https://hl7.org/fhir/R4/search.html#token
"""

from __future__ import annotations

CODING = "tokens((##, {x}.get('system', ''), {x}.get('code', '').lower()))"
CONCEPT = """
{v} = {x}.get('coding')
if {v}:
    for {w} in {v}: tokens((##, {w}.get('system', ''), {w}.get('code', '').lower()))
else: tokens((##, '', ''))
"""
IDENTIFIER = """
{v} = {x}.get('value', '')
identifiers((##, {x}.get('system', ''), {v}))
if 'type' in {x}:
    for {w} in {x}['type'].get('coding', ()): typed((##, {w}.get('system', ''), {w}.get('code', '').lower(), {v}))
"""
REFERENCE = """
{v}, _, {w} = {x}.get('reference', '').partition('/')
if {w} and {v} in RESOURCE_TYPES and '/' not in {w}: references((#{v}#, {v}, {w}))
else:
    for t, i, u in elsewhere({x}, base):
        if i: references((#t#, t, i))
        else: urls((#t#, u))
if 'identifier' in {x}:
    identifiers((#{x}.get('type') or {v}#, {x}['identifier'].get('system', ''), {x}['identifier'].get('value', '')))
"""
CANONICAL = """
for t, i, u in elsewhere_canonical({x}, base):
    if i: references((#t#, t, i))
    else: urls((#t#, u))
"""
CONTACT = "words((#{x}.get('system')#, {x}.get('value', '').lower()))"
MOMENT = """
{v}, {w} = moment_range({x})
dates((##, {v}, {w}))
"""
NUMBER = """
{v} = float({x})
quantities((##, '', '', '', {v}, {v}))
"""
MEASURED = """
{v} = quantity_row({x})
if {v}: quantities((##, *{v}))
"""
TEXT = "strings((##, cut({x})))"
WORD = "words((##, {x}.lower()))"
URL = "urls((##, {x}))"

# (kind of parameter, type of value); a pair that is missing here can't be compared: Procedure.performed as a string, an Attachment …
TAKEN: dict[tuple[str, str], str] = {
    ("token", "Coding"): CODING,
    ("token", "CodeableConcept"): CONCEPT,
    ("token", "Identifier"): IDENTIFIER,
    ("token", "ContactPoint"): CONTACT,
    ("token", "boolean"): "tokens((##, SPECIAL_VALUES, 'true' if {x} else 'false'))",
    ("token", "code"): "tokens((##, {system}, {x}.lower()))",
    ("token", "string"): WORD,
    ("token", "id"): WORD,
    ("token", "uri"): WORD,
    ("string", "string"): TEXT,
    ("string", "markdown"): TEXT,
    ("reference", "Reference"): REFERENCE,
    ("reference", "canonical"): CANONICAL,
    ("reference", "uri"): CANONICAL,
    ("uri", "canonical"): "for {v} in canonical_urls({x}): urls((##, {v}))",
    ("uri", "uri"): URL,
    ("uri", "url"): URL,
    ("date", "date"): MOMENT,
    ("date", "dateTime"): MOMENT,
    ("date", "instant"): MOMENT,
    ("date", "Period"): """
{v}, {w} = period_range({x})
dates((##, {v}, {w}))
""",
    ("date", "Timing"): "for {v}, {w} in timing_ranges({x}): dates((##, {v}, {w}))",
    ("number", "integer"): NUMBER,
    ("number", "positiveInt"): NUMBER,
    ("number", "unsignedInt"): NUMBER,
    ("number", "decimal"): NUMBER,
    ("number", "Range"): MEASURED.replace("quantity_row", "number_range_row"),
    ("special", "Location.position"): MEASURED.replace("quantity_row", "place_row"),
    ("quantity", "Quantity"): MEASURED,
    ("quantity", "Age"): MEASURED,
    ("quantity", "Duration"): MEASURED,
    ("quantity", "Distance"): MEASURED,
    ("quantity", "Count"): MEASURED,
    ("quantity", "Money"): MEASURED.replace("quantity_row", "money_row"),
    ("quantity", "Range"): MEASURED.replace("quantity_row", "range_row"),
    ("quantity", "SampledData"): MEASURED.replace("quantity_row", "sampled_row"),
}

UNCOMPARABLE = frozenset(
    {
        ("date", "Age"),
        ("date", "Range"),
        ("date", "string"),
        ("reference", "Attachment"),
        ("reference", "Resource"),
    }
)  # what R4's expressions also reach
