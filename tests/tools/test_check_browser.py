"""tools/check_browser.py: a good page passes, each planted fault is found where it is, and what cannot be had is said."""

import shutil
from collections.abc import Callable
from pathlib import Path

import check_browser
import pytest
from browser import BrowserError, Tab, find_browser
from check_browser import axe_source, findings, look, main

GOOD = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>A page</title>
<style>html[data-theme=dark] { background: #111; color: #eee }</style></head>
<body><main><h1>A page</h1>{extra}<p>Text.</p></main></body></html>"""

SCROLLED = f'<div id="d" style="overflow-x: auto; white-space: nowrap">{"wide " * 20}</div>'


def page(folder: Path, extra: str = "") -> Path:
    path = folder / "index.html"
    path.write_text(GOOD.replace("{extra}", extra), encoding="utf-8")
    return path


def test_a_good_page_has_no_findings(tab: Tab, axe: str, tmp_path: Path) -> None:
    assert look(tab, page(tmp_path), axe) == []


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ('<p id="p" style="color: #bbb">pale</p>', "color-contrast (serious) #p [desktop light]"),
        ('<p id="p" style="background: #bbb">pale</p>', "color-contrast (serious) #p [desktop dark, phone dark]"),
        ('<details><summary>Open</summary><input id="i"></details>', "label (critical) #i [desktop light, phone light]"),
        (SCROLLED, "scrollable-region-focusable (serious) #d [phone light]"),
        ('<div class="a b" style="width: 500px">wide</div>', "508 px wide on a phone of 390 px, first div.a.b"),
        ("<script>console.error('it', 'broke')</script>", "console: it broke"),
        ("<script>gone()</script>", "console: ReferenceError: gone is not defined"),
        ('<img alt="from outside" src="https://example.org/a.png">', "console: Failed to load resource: net::ERR_PROXY"),
    ],
)
def test_each_planted_fault_is_found(tab: Tab, axe: str, tmp_path: Path, extra: str, message: str) -> None:
    found = look(tab, page(tmp_path, extra), axe)
    assert len(found) == 1, found
    assert found[0].startswith(message)


def test_every_page_is_looked_at_once_and_a_redirect_is_not_one(axe: str, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book/a.html">', encoding="utf-8")
    for name in ("book", "_static"):
        (tmp_path / name).mkdir()
        for each in ("a", "b", "c"):
            page(tmp_path / name, '<input id="i">').rename(tmp_path / name / f"{each}.html")
    path = find_browser()
    if path is None:
        pytest.skip("no Chromium on this machine")
    found = findings(tmp_path, path, axe)
    assert [line.partition(" ")[0] for line in found] == ["book/a.html:", "book/b.html:", "book/c.html:"]


def test_a_page_is_not_changed_and_a_script_s_error_is_an_error(tab: Tab, tmp_path: Path) -> None:
    before = page(tmp_path).read_bytes()
    tab.open(tmp_path / "index.html")
    with pytest.raises(BrowserError, match="gone is not defined"):
        tab.run("gone()")
    assert (tmp_path / "index.html").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("find_browser", lambda: None, "skipped, not looked at in a browser: there is no Chromium on this machine"),
        ("axe_source", None, "skipped, not looked at in a browser: there is no npm to fetch axe-core with"),
    ],
)
def test_what_cannot_be_had_is_one_line_and_no_failure(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    value: Callable[[], None] | None,
    message: str,
) -> None:
    monkeypatch.setattr(check_browser, "find_browser", lambda: "chromium")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(check_browser, name, value or (lambda: axe_source(tmp_path / "empty")))
    page(tmp_path)
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"{tmp_path}: {message}\n"


def test_another_axe_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / f"axe-core-{check_browser.AXE}.tgz").write_bytes(b"something else")
    with pytest.raises(ValueError, match=r"its SHA-512 is .*, not .*; delete it"):
        axe_source(tmp_path)


def test_a_browser_that_does_not_start_is_one_line_and_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(check_browser, "find_browser", lambda: shutil.which("true"))
    monkeypatch.setattr(check_browser, "axe_source", lambda: "")
    page(tmp_path)
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == "error: the browser ended by itself\n"


def test_a_folder_without_a_book_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "no built book" in capsys.readouterr().err
