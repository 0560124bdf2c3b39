"""Output goes to terminals of any code page."""

import io
import sys

import pytest

from tsynd.cli import main


@pytest.mark.parametrize("encoding", ["cp437", "cp850", "latin-1", "cp932", "utf-8"])
def test_a_letter_that_a_terminal_lacks_is_replaced(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    monkeypatch.setattr(sys, "argv", ["tsynd", "data", "list"])
    with pytest.raises(SystemExit) as ended:
        main()
    sys.stdout.flush()
    assert ended.value.code == 0
    assert "breastmnist" in written.getvalue().decode(encoding)
