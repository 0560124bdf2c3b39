"""tools/check_html.py: a good page passes, and each rule broken once is found."""

from pathlib import Path

import pytest
from check_html import PAGE_BYTES, findings, main

ALT = "Targeted images beside their sources"
GOOD = f"""
<html><head>
  <link rel="stylesheet" href="_static/a.css"><link rel="canonical" href="https://example.org/">
  <script>const NEVER_LOADED = "https://example.org/a.js";</script>
</head><body id="start">
  <a href="book/method.html#equations">the method</a> <a href="#start">up</a> <a href="#top">top</a> <a href="book/">book</a>
  <a href="https://example.org/page">elsewhere</a> <a href="mailto:a@example.org">write</a>
  <a class="navbar-brand" href="#"><img class="logo__image" src="_static/a.css" alt="TSynD - Home"></a>
  <span class="btn__icon-container"><br><img src="_static/a.css" alt="Colab logo"></span>
  <img src="_static/a.css" alt="" aria-hidden="true">
  <figure><img src="data:image/png;base64,AAAA" alt="{ALT}"></figure>
</body></html>
"""


def book(folder: Path, extra: str = "", css: str = "a { color: red }") -> Path:
    """A small built book with something added to its first page."""
    (folder / "book").mkdir()
    (folder / "_static").mkdir()
    (folder / "_static" / "a.css").write_text(css, encoding="utf-8")
    (folder / "index.html").write_text(GOOD.replace("</body>", f"{extra}</body>"), encoding="utf-8")
    (folder / "book" / "index.html").write_text('<meta http-equiv="refresh" content="0; url=method.html">', encoding="utf-8")
    (folder / "book" / "method.html").write_text('<h2 id="equations"><a href="../index.html">up</a></h2>', encoding="utf-8")
    return folder


def test_a_good_book_has_no_findings(tmp_path: Path) -> None:
    assert findings(book(tmp_path)) == []


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('<a href="book/gone.html">x</a>', "broken link 'book/gone.html': no such file"),
        ('<a href="book/method.html#gone">x</a>', "broken link 'book/method.html#gone': no such anchor"),
        ('<a href="#gone">x</a>', "broken link '#gone': no such anchor"),
        ('<a href="/book/method.html">x</a>', "broken link '/book/method.html': an absolute path"),
        ('<a href="_static/">x</a>', "broken link '_static/': no such file"),
        ('<meta http-equiv="Refresh" content="0; url=gone.html">', "broken link 'gone.html': no such file"),
        (f'<img src="gone.png" alt="{ALT}">', "broken source 'gone.png': no such file"),
        ('<img src="data:image/png;base64,AA">', "image 'data:image/png;base64,AA' needs an alt text"),
        ('<img src="_static/a.css" alt="a figure">', "image '_static/a.css' needs an alt text"),
        ('<img src="_static/a.css" alt="51faabb43c30768d3e988d.png">', "image '_static/a.css' needs an alt text"),
        ('<img src="_static/a.css" alt="">', "image '_static/a.css' needs an alt text"),
        ('<script src="https://example.org/a.js"></script>', "loaded from outside: https://example.org/a.js"),
        ('<link rel="stylesheet" href="//example.org/a.css">', "loaded from outside: //example.org/a.css"),
        ('<link rel="preconnect" href="https://example.org">', "loaded from outside: https://example.org"),
        ('<iframe src="https://example.org/"></iframe>', "loaded from outside: https://example.org/"),
        ('<object data="https://example.org/"></object>', "loaded from outside: https://example.org/"),
        (f'<img src="https://example.org/a.png" alt="{ALT}">', "loaded from outside: https://example.org/a.png"),
        ('<p style="background: url(https://example.org/a.png)"></p>', "loaded from outside: https://example.org/a.png"),
        ('<style>@import "https://example.org/a.css";</style>', "loaded from outside: https://example.org/a.css"),
        ('<script>s.src = "https://example.org/a.js"</script>', "loaded from outside: https://example.org/a.js"),
        ('<script>import x from "https://example.org/a.js"</script>', "loaded from outside: https://example.org/a.js"),
        ("x" * PAGE_BYTES, "1.5 MB with its images, more than 1.5 MB"),
    ],
)
def test_each_broken_rule_is_the_one_finding(tmp_path: Path, extra: str, message: str) -> None:
    lines = findings(book(tmp_path, extra))
    assert len(lines) == 1
    assert lines[0].startswith(f"index.html: {message}")


def test_images_count_towards_the_size_of_their_page(tmp_path: Path) -> None:
    root = book(tmp_path, f'<img src="big.png" alt="{ALT}">')
    (root / "big.png").write_bytes(bytes(PAGE_BYTES))
    assert findings(root) == ["index.html: 1.5 MB with its images, more than 1.5 MB"]


def test_style_sheets_load_nothing_from_outside(tmp_path: Path) -> None:
    root = book(tmp_path, css="a { background: url('https://example.org/a.png'), url(b.png) }")
    assert findings(root) == ["_static/a.css: loaded from outside: https://example.org/a.png"]


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no built book" in capsys.readouterr().err
    root = book(tmp_path)
    assert main([str(root)]) == 0
    (root / "book" / "method.html").unlink()
    assert main([str(root)]) == 1
