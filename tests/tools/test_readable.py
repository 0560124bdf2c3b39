"""book/extensions/readable.py: links of notebooks to pages of the repository stay in the book."""

import runpy
from pathlib import Path
from types import SimpleNamespace

from tsynd.utils.rules import whole

EXTENSION = runpy.run_path(str(Path(__file__).resolve().parents[2] / "book" / "extensions" / "readable.py"))
APP = SimpleNamespace(
    config=SimpleNamespace(html_baseurl="https://example.org/b/"),
    env=SimpleNamespace(found_docs={"book/scope", "book/index", "notebooks/01_a"}),
)


def read(page: str, text: str) -> str:
    """What the book makes of the source of a page."""
    source = [text]
    EXTENSION["stay_in_the_book"](APP, page, source)
    return source[0]


def test_a_page_of_the_book_is_linked_within_it_and_nothing_else_is() -> None:
    online = "https://example.org/b"
    assert read("notebooks/01_a", f"[scope]({online}/book/scope.html)") == "[scope](../book/scope.md)"
    assert read("notebooks/01_a", f"[a part]({online}/book/scope.html#data)") == "[a part](../book/scope.md#data)"
    assert read("index", f"[scope]({online}/book/scope.html)") == "[scope](book/scope.md)"
    assert read("book/scope", f"[chapter 1]({online}/notebooks/01_a.html)") == "[chapter 1](../notebooks/01_a.ipynb)"
    for other in (
        f"[code]({online}/tsynd/runs/card.py)",
        f"[other]({online}/book/scope.htm)",
        "[scope](https://example.org/book/scope.html)",
    ):
        assert read("notebooks/01_a", other) == other


def test_a_signature_shows_the_type_and_not_the_rule_beside_it() -> None:
    assert repr(whole(1)) == "Rule()"  # what Sphinx makes of it
    call = "(jobs: ~typing.Annotated[int, ~tsynd.utils.rules.Rule()] = 1, seed: int | None = None)"
    assert EXTENSION["without_rules"](None, "function", "run", None, None, call, "-> int") == (
        "(jobs: int = 1, seed: int | None = None)",
        "-> int",
    )
