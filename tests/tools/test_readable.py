"""book/extensions/readable.py: links of notebooks to pages of the repository stay in the book."""

import runpy
from pathlib import Path
from types import SimpleNamespace

EXTENSION = runpy.run_path(str(Path(__file__).resolve().parents[2] / "book" / "extensions" / "readable.py"))
APP = SimpleNamespace(
    config=SimpleNamespace(html_theme_options={"repository_url": "https://example.org/a/b", "repository_branch": "main"}),
    env=SimpleNamespace(found_docs={"book/scope", "book/index"}),
)


def read(page: str, text: str) -> str:
    """What the book makes of the source of a page."""
    source = [text]
    EXTENSION["stay_in_the_book"](APP, page, source)
    return source[0]


def test_a_page_of_the_book_is_linked_within_it_and_nothing_else_is() -> None:
    online = "https://example.org/a/b/blob/main"
    assert read("notebooks/01_a", f"[scope]({online}/book/scope.md)") == "[scope](../book/scope.md)"
    assert read("index", f"[scope]({online}/book/scope.md)") == "[scope](book/scope.md)"
    for other in (
        f"[code]({online}/tsynd/runs/card.py)",
        f"[other]({online}/book/scope.mdx)",
        "[scope](https://example.org/book/scope.md)",
    ):
        assert read("notebooks/01_a", other) == other
