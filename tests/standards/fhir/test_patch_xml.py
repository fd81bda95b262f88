"""XML Patch: the public cases, and what a patch may never do."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from suture.errors import Inapplicable, Invalid, SutureError, TooLarge
from suture.standards import xml_tree
from suture.standards.fhir import patch_xml
from suture.standards.fhir.patch_select import Looks, select
from suture.standards.xml_tree import Comment, Node
from tests import public

DIV = '<div xmlns="http://www.w3.org/1999/xhtml"><p>kept  &#169; <br /></p></div>'
DOC: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p",
    "text": {"status": "generated", "div": DIV},
    "active": True,
    "name": [{"family": "A", "given": ["B", "C"]}],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}],
}


def diff(*operations: str) -> bytes:
    return f'<diff xmlns="http://hl7.org/fhir">{"".join(operations)}</diff>'.encode()


def patched(*operations: str) -> dict[str, Any]:
    return patch_xml.apply(DOC, patch_xml.operations(diff(*operations)))


def plain(node: Node) -> Any:
    """A tree without the white space between its elements."""
    inner = [plain(child) if isinstance(child, Node) else (type(child), child.strip()) for child in node.children]
    kept = [one for one in inner if one[0] is not str or one[1]]
    return node.space, node.name, node.attributes, node.declared, kept


def test_the_public_cases() -> None:
    cases = xml_tree.read(public.path("fhir-test-cases/r4/patch/xml-patch-tests.xml").read_bytes()).elements
    for case in cases:
        name = case.attributes["name"]
        parts = {part.name: part for part in case.elements}
        wanted = parts["patched"].elements if "patched" in parts else []
        targets = parts["target"].elements
        try:
            if not targets:
                raise Invalid("there is nothing to patch")
            patch_xml.patch(targets[0], patch_xml.operations(xml_tree.write(parts["patch"])))
        except SutureError:
            assert "error" in parts, name
            continue
        assert [plain(targets[0])] == [plain(one) for one in wanted], name
    assert len(cases) == 29


@pytest.mark.parametrize(
    ("operation", "key", "value"),
    [
        ('<replace sel="f:Patient/f:active/@value">false</replace>', "active", False),
        ('<replace sel="Patient/name/family"><family value="Z"/></replace>', "name", [{"family": "Z", "given": ["B", "C"]}]),
        ('<replace sel="/f:Patient/f:name/f:given[2]/@value">D</replace>', "name", [{"family": "A", "given": ["B", "D"]}]),
        ('<remove sel="f:Patient/f:telecom[f:system/@value=\'phone\']"/>', "telecom", [{"system": "email", "value": "2"}]),
        ('<add sel="f:Patient/f:telecom[2]" pos="before"><telecom><value value="3"/></telecom></add>', "telecom", [DOC["telecom"][0], {"value": "3"}, DOC["telecom"][1]]),
        ('<add sel="f:Patient/f:telecom[2]" pos="after"><telecom><value value="3"/></telecom></add>', "telecom", [*DOC["telecom"], {"value": "3"}]),
        ('<add sel="f:Patient" pos="prepend"><telecom><value value="0"/></telecom></add>', "telecom", [{"value": "0"}, *DOC["telecom"]]),
        ('<add sel="f:Patient"><birthDate value="2000-01-02"/></add>', "birthDate", "2000-01-02"),
        ('<add sel="f:Patient/f:name" type="@id">n1</add>', "name", [{**DOC["name"][0], "id": "n1"}]),
        ('<remove sel="f:*/f:name"/>', "name", None),
    ],
)  # fmt: skip
def test_an_operation(operation: str, key: str, value: Any) -> None:
    before = deepcopy(DOC)
    done = patched(operation)
    assert done.get(key) == value
    assert {k: v for k, v in done.items() if k != key} == {k: v for k, v in DOC.items() if k != key}
    assert before == DOC


def test_a_narrative_is_patched_or_stays_to_the_letter() -> None:
    assert patched('<remove sel="f:Patient/f:active"/>')["text"]["div"] == DIV
    changed = patched(
        '<replace sel="f:Patient/f:text/h:div/h:p"><p xmlns="http://www.w3.org/1999/xhtml">new</p></replace>'
    )
    assert changed["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml"><p>new</p></div>'


def test_decimals_keep_their_digits() -> None:
    before = {"resourceType": "Observation", "status": "final", "valueQuantity": {"value": Decimal("72.50")}}
    steps = patch_xml.operations(diff('<add sel="f:Observation/f:valueQuantity"><unit value="kg"/></add>'))
    assert str(patch_xml.apply(before, steps)["valueQuantity"]["value"]) == "72.50"


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ('<frob sel="f:Patient"/>', "[0]: not an operation"),
        ("<remove/>", "[0].sel: not a selector"),
        ('<remove sel="//f:name"/>', "[0].sel: not a selector"),
        ('<remove sel="f:Patient/f:name[last()]"/>', "[0].sel: not a condition of a selector"),
        ('<remove sel="x:Patient"/>', "[0].sel: the prefix is not declared"),
        ('<remove sel="f:Patient/f:gender"/>', "[0].sel: nothing is at this place"),
        ('<remove sel="f:Patient/f:telecom"/>', "[0].sel: several nodes are at this place"),
        ('<remove sel="f:Patient"/>', "[0].sel: the whole resource can't be removed"),
        ('<add sel="f:Patient" pos="before"><a/></add>', "[0].sel: nothing stands beside this"),
        ('<add sel="f:Patient" pos="middle"><a/></add>', "[0].pos: not a position"),
        ('<add sel="f:Patient" type="id">x</add>', "[0].type: not a type"),
        ('<replace sel="f:Patient"><Patient><active value="false"/></Patient></replace>', "[0].sel: the whole resource can't be replaced"),
        ('<add sel="f:Patient" type="@a b">x</add>', "[0].type: not a type"),
        ('<add sel="f:Patient" type="namespace::p=\'u\' id">x</add>', "[0].type: not a type"),
        ('<add sel="f:Patient" type="namespace::p"/>', "[0].type: not a type"),
        ('<add sel="f:Patient" type="namespace::xmlns">x</add>', "[0].type: not a type"),
        ('<add sel="f:Patient/f:active" type="@value">x</add>', "[0].type: the attribute is there already"),
        ('<add sel="f:Patient/f:active/@value"><a/></add>', "[0].sel: this operation needs an element"),
        ('<replace sel="f:Patient/f:active">false</replace>', "[0]: an element is replaced by an element"),
        (f'<remove sel="{"a/" * 600}"/>', "[0].sel: the selector is too long"),
    ],
)  # fmt: skip
def test_a_wrong_operation_is_placed(operation: str, said: str) -> None:
    with pytest.raises((Inapplicable, Invalid)) as raised:
        patched(operation)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    "raw", [b"<diff/>", b"<other><remove sel='a'/></other>", b"<a>", b"", b"<!DOCTYPE a><diff/>", b"<?x y?><diff/>"]
)
def test_what_is_no_patch(raw: bytes) -> None:
    with pytest.raises(SutureError):
        patch_xml.operations(raw)


def test_a_patch_looks_only_so_far() -> None:
    root = Node("", "a", children=[Node("", "b", children=[Node("", "c")]) for _ in range(1000)])
    looks = Looks(3000)
    assert len(select(root, "a/b", {"": ""}, "x", looks)) == 1000
    with pytest.raises(TooLarge, match="looks at too much"):
        select(root, "a/b[c='1'][c='2'][c='3']", {"": ""}, "x", looks)
    with pytest.raises(Invalid, match="too many operations"):
        patch_xml.operations(diff('<remove sel="a"/>' * 1001))


TREES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=5)
    | st.text("abc ", max_size=5).map(Comment),
    lambda inner: st.builds(
        Node, st.sampled_from(["", "urn:a", "urn:b"]), st.sampled_from("xyz"),
        st.dictionaries(st.sampled_from(["k", "urn:c l"]), st.text("a<>&\"'\n\t", max_size=4), max_size=2),
        st.lists(inner, max_size=3),
    ),
    max_leaves=12,
)  # fmt: skip


@given(TREES)
def test_a_tree_is_read_as_it_was_written(tree: Node | str) -> None:
    root = Node("urn:a", "r", children=[tree])
    assert xml_tree.write(again := xml_tree.read(xml_tree.write(root))) == xml_tree.write(root)
    assert again.text == root.text


@given(st.text(max_size=30))
def test_any_selector_is_read_or_refused(text: str) -> None:
    try:
        found = select(Node("", "a"), text, {}, "x", Looks())
    except (Invalid, TooLarge):
        return
    assert all(one.root for one in found)
