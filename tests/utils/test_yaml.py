"""Study files and settings say what they look like: YAML 1.2, and of a key one value."""

import pytest

from tsynd.utils.safe_parsing import from_json, from_yaml

VALUES: dict[str, object] = {
    "010": 10, "060": 60, "0o17": 15, "0x1F": 31, "+12": 12, "-3": -3,
    "1e-3": 0.001, "1E5": 1e5, "-.5": -0.5, "1.": 1.0, ".inf": float("inf"),
    "1:30": "1:30", "1_000": "1_000", "yes": "yes", "off": "off", "2024-01-31": "2024-01-31", "0-9": "0-9",
    "true": True, "FALSE": False, "null": None, "~": None, "": None, "'1e-3'": "1e-3",
}  # fmt: skip


@pytest.mark.parametrize("text", VALUES)
def test_a_plain_value_is_what_it_looks_like(text: str) -> None:
    for found in (from_yaml(text), from_yaml(f"{{a: {text}}}" if text else "{a: }")["a"], from_yaml(f"- {text}\n")[0]):
        assert found == VALUES[text] and type(found) is type(VALUES[text])


@pytest.mark.parametrize(
    "text", ["a: 1\na: 2", "{a: 1, b: {c: 1, c: 2}}", "- {x: 1}\n- {x: 1, 'x': 2}", "{1: a, 01: b}", "{true: 1, True: 2}"]
)
def test_a_key_stands_once(text: str) -> None:
    with pytest.raises(ValueError, match="stands twice"):
        from_yaml(text)


def test_a_key_of_json_stands_once() -> None:
    assert from_json('{"a": {"b": 1}, "b": 2}') == {"a": {"b": 1}, "b": 2}
    with pytest.raises(ValueError, match="key 'b' stands twice in one mapping"):
        from_json('{"a": {"b": 1, "b": 2}}')


def test_a_merged_mapping_may_be_overridden() -> None:
    assert from_yaml("base: &b {k: 1, l: 2}\nhere: {<<: *b, k: 3}")["here"] == {"k": 3, "l": 2}
