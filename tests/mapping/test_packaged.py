"""The quick reader of packaged maps finds the same content at the same places as the strict one."""

from __future__ import annotations

from typing import Any

import pytest

from suture.mapping import packaged, sheet
from suture.mapping.library import shipped
from suture.mapping.sheet import Items, Sheet

FILES = {path: text for path, text in shipped().items() if path.endswith(".yaml")}


def placed(value: Any) -> Any:
    if isinstance(value, Sheet):
        return value.spot, {key: (value.at(key), value.value_at(key), placed(item)) for key, item in value.items()}
    if isinstance(value, Items):
        return [(spot, placed(item)) for spot, item in zip(value.spots, value, strict=True)]
    return type(value), value


@pytest.mark.parametrize("path", FILES)
def test_both_readers_agree(path: str) -> None:
    strict, quick = sheet.load(FILES[path], path), packaged.load(FILES[path], path)
    assert quick == strict
    assert {key: placed(value)[1:] if isinstance(value, Sheet) else placed(value) for key, value in quick.items()} == {
        key: placed(value)[1:] if isinstance(value, Sheet) else placed(value) for key, value in strict.items()
    }


@pytest.mark.parametrize("text", ["a: 1\nb: yes\nc: 0.50\nd: ~\ne: 'x'\nf: -3\ng: 1e3\nh: true\n", "a: [1, {b: c}]"])
def test_scalars_of_yaml_1_2(text: str) -> None:
    assert packaged.load(text, "t") == sheet.load(text, "t")
