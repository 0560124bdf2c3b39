"""Check the built book: every internal link leads somewhere, every image has words, nothing comes from outside.

    python tools/check_html.py _build/html

Linkcheck needs a network; this does not. It prints one line for each finding, and exits with 1 if there are any.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ALT_LENGTH = 20
PAGE_BYTES = 1_500_000
# <link> elements that make a browser fetch something; canonical, next, search and the like do not.
FETCHED_LINKS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload", "preconnect", "dns-prefetch", "manifest"}
FETCHED_TAGS = {"object": "data"} | dict.fromkeys(("script", "img", "iframe", "source", "video", "audio", "embed"), "src")
FILE_NAME = re.compile(r"^\S+\.(?:png|jpe?g|svg|gif|webp)$", re.IGNORECASE)
# Images that only repeat the words beside them: the book's logo (a link home, named after the book), launch buttons' icons.
DECORATION = {"logo__image", "btn__icon-container"}
CSS_OUTSIDE = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)
SCRIPT_OUTSIDE = re.compile(r"(?:\.src\s*=|import\s*\(|import\b[^;\n]*\bfrom)\s*[\"'`]((?:https?:)?//[^\"'`]+)")
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


@dataclass
class Page(HTMLParser):
    """What one HTML file defines (`anchors`), points to (`links`), fetches (`fetched`) and shows (`images`)."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    images: list[tuple[str, str | None]] = field(default_factory=list)
    css: list[str] = field(default_factory=list)
    scripts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[tuple[str, set[str]]] = []
        self.feed(self.path.read_text(encoding="utf-8"))
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what an element defines, points to or fetches."""
        given = {name: value or "" for name, value in attrs}
        classes = set(given.get("class", "").split())
        self.anchors |= {given[name] for name in ("id", "name") if given.get(name) and (name == "id" or tag == "a")}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            self.links.append(given.get("content", "").partition("url=")[2])
        if tag == "link" and FETCHED_LINKS & set(given.get("rel", "").lower().split()):
            self.fetched.append(given.get("href", ""))
        if tag in FETCHED_TAGS and given.get(FETCHED_TAGS[tag]):
            self.fetched.append(given[FETCHED_TAGS[tag]])
        self.fetched += [part.split()[0] for part in given.get("srcset", "").split(",") if part.strip()]
        around = set().union(*(names for _, names in self._open)) | classes
        decorative = bool(DECORATION & around) or (given.get("alt") == "" and given.get("aria-hidden") == "true")
        if tag == "img" and not decorative:
            self.images.append((given.get("src", ""), given.get("alt")))
        self.css.append(given.get("style", ""))
        if tag not in VOID:
            self._open.append((tag, classes))

    def handle_endtag(self, tag: str) -> None:
        """Close the element, and those inside it that were left open."""
        for index in range(len(self._open) - 1, -1, -1):
            if self._open[index][0] == tag:
                del self._open[index:]
                return

    def handle_data(self, data: str) -> None:
        """Keep style sheets and scripts that stand in the page."""
        if self._open and self._open[-1][0] == "style":
            self.css.append(data)
        if self._open and self._open[-1][0] == "script":
            self.scripts.append(data)


def findings(root: Path) -> list[str]:
    """What is wrong with a built book, a line each; an empty list is a good book."""
    pages = {path: Page(path) for path in sorted(root.resolve().rglob("*.html")) if "_static" not in path.parts}
    lines = [f"{path.relative_to(root.resolve())}: {what}" for path, page in pages.items() for what in _page(page, pages)]
    for sheet in sorted(root.resolve().rglob("*.css")):
        outside = CSS_OUTSIDE.findall(sheet.read_text(encoding="utf-8"))
        lines += [f"{sheet.relative_to(root.resolve())}: loaded from outside: {url}" for url in outside]
    return lines


def _page(page: Page, pages: dict[Path, Page]) -> Iterator[str]:
    """What is wrong with one page."""
    for link in dict.fromkeys(page.links):
        if reason := _broken(link, page, pages):
            yield f"broken link {link!r}: {reason}"
    for source in dict.fromkeys(page.fetched):
        if _is_outside(source):
            yield f"loaded from outside: {source}"
        elif reason := _broken(source, page, pages):
            yield f"broken source {source!r}: {reason}"
    for pattern, texts in ((CSS_OUTSIDE, page.css), (SCRIPT_OUTSIDE, page.scripts)):
        for url in dict.fromkeys(url for text in texts for url in pattern.findall(text)):
            yield f"loaded from outside: {url}"
    for source, alt in page.images:
        words = (alt or "").strip()
        if len(words) < ALT_LENGTH or FILE_NAME.match(words):
            yield f"image {source[:60]!r} needs an alt text of {ALT_LENGTH} characters or more in words, got {alt!r}"
    size = page.path.stat().st_size + sum(path.stat().st_size for path in _own_files(page))
    if size > PAGE_BYTES:
        yield f"{size / 1e6:.1f} MB with its images, more than {PAGE_BYTES / 1e6:.1f} MB"


def _is_outside(link: str) -> bool:
    """Does this address name another computer?"""
    return urlsplit(link).scheme in {"http", "https", "ftp"} or link.startswith("//")


def _target(link: str, page: Page) -> Path | None:
    """The file that an internal link leads to, or None for an address of another kind."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    if not parts.path:
        return page.path
    target = (page.path.parent / unquote(parts.path)).resolve()
    return target / "index.html" if target.is_dir() else target


def _broken(link: str, page: Page, pages: dict[Path, Page]) -> str:
    """Why a link leads nowhere; empty when it is good or not ours to judge."""
    target = _target(link, page)
    if target is None:
        return ""
    if link.startswith("/"):
        return "an absolute path does not work from file://"
    if not target.is_file():
        return "no such file"
    anchor = unquote(urlsplit(link).fragment)
    if anchor and anchor != "top" and target in pages and anchor not in pages[target].anchors:
        return "no such anchor"
    return ""


def _own_files(page: Page) -> set[Path]:
    """The images that a page brings along (what all pages share lies in _static)."""
    targets = {_target(source, page) for source in page.fetched}
    return {target for target in targets if target and target.is_file() and "_static" not in target.parts}


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the built book, _build/html")
    root = parser.parse_args(arguments).folder
    if not (root / "index.html").is_file():
        print(f"error: no built book in {root} (make book)", file=sys.stderr)
        return 2
    lines = findings(root)
    print("\n".join(lines) or f"{root}: links, anchors, alt texts and sources are all good")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
