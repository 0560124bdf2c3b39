"""JSON and YAML from others: what is too deep or too long is refused like what is damaged."""

import pytest

from tests.bad.mutations import FOREIGN, no_longer_than
from tsynd import cli
from tsynd.utils.safe_parsing import from_json, from_yaml


@pytest.mark.parametrize("text", ["[" * 100_000, "[" * 200 + "]" * 200, '{"a":' * 5000, "nul", "", '{"a": 1', "1" * 5000])
def test_json(text: str) -> None:
    with no_longer_than(5), pytest.raises(ValueError, match=r"."):
        from_json(text)


def test_json_may_be_long() -> None:
    assert len(from_json(str(list(range(200_000))))) == 200_000


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (FOREIGN["deep YAML"].decode(), "nested more than 100 deep"),
        ("\n".join(["a0: &a0 []", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 500))]), "nested more than 100 deep"),
        ("&a [*a]", "nested more than 100 deep"),
        ("&a {*a : 1}", "unhashable"),
        ("[&a [1, 1, 1, 1], &b [*a, *a, *a, *a], &c [*b, *b, *b, *b], " + "*c, " * 3000 + "]", "more than 100000 values"),
        ("!!timestamp x", "group"),
        ("!!bool x", "x"),
        ("0x" + "f" * 17, "more than 64 bits"),
        ("!!python/name:os.system", "could not determine a constructor"),
    ],
)
def test_yaml(text: str, message: str) -> None:
    with no_longer_than(5), pytest.raises(ValueError, match=message) as caught:
        from_yaml(text)
    assert len(str(caught.value).splitlines()) == 1


def test_aliases_that_are_meant_are_read() -> None:
    assert from_yaml("{a: &a {x: 1}, b: *a, c: {<<: *a, y: 2}}") == {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1, "y": 2}}


@pytest.mark.parametrize("value", ["[1", "!!bool x", "&a [*a]"])
def test_a_value_on_the_command_line(value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["tsynd", "run", "--data", "phantom", "--out", "nowhere", "--set", f"radius={value}"])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.startswith("error: --set radius must have") and said.count("\n") == 1
