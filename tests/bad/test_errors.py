"""What errors say, whatever the input is called."""

import pickle

import pytest

from tsynd.errors import DataUnavailable, TsyndError


@pytest.mark.parametrize("kind", [TsyndError, DataUnavailable])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\x0b", "\u2028", "\x85"])
def test_a_message_is_one_line_though_a_name_has_several(kind: type[TsyndError], end: str) -> None:
    assert str(kind(f"no such file: two{end}lines.png")) == "no such file: two lines.png"


def test_an_error_comes_back_from_another_process() -> None:
    error = pickle.loads(pickle.dumps(DataUnavailable("no such\nfile")))
    assert type(error) is DataUnavailable and str(error) == "no such file"
