"""Open every page of the built book in a browser without a network, and look for what shuts readers out.

    python tools/check_browser.py _build/html

Each page is looked at with the width of a desktop and of a phone, in light and in dark, everything unfolded. It prints one line
for each serious or critical finding of axe-core, for a page that is wider than a phone, and for each error in the console; it
exits with 1 if there are any. Without Chromium, or without npm to fetch axe-core, it says so in one line and exits with 0.
"""

import argparse
import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from browser import BrowserError, Tab, browser, find_browser

AXE = "4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tsynd"
NPM_SECONDS = 60
WIDTHS = {"desktop": 1200, "phone": 390}
# What axe-core looks at where. Colours change with the theme, and cost most of the time; the rest changes with the width.
COLOURS = ["color-contrast", "link-in-text-block"]
ALL: dict[str, Any] = {}
ONLY_COLOURS = {"runOnly": {"type": "rule", "values": COLOURS}}
BUT_COLOURS = {"rules": {rule: {"enabled": False} for rule in COLOURS}}
LOOKS = {
    ("desktop", "light"): ALL,
    ("desktop", "dark"): ONLY_COLOURS,
    ("phone", "light"): BUT_COLOURS,
    ("phone", "dark"): ONLY_COLOURS,
}
# Everything unfolded, the formulas set, and no colour half way to another.
READY = """(async () => {
  const style = document.createElement('style');
  style.textContent = '*, *::before, *::after { transition: none !important; animation: none !important }';
  document.head.append(style);
  document.querySelectorAll('details').forEach((each) => { each.open = true; });
  window.dispatchEvent(new Event('resize'));
  await window.MathJax?.startup?.promise;
})()"""
# The theme lets keys reach what can be scrolled, a moment after the width has changed.
SETTLED = "new Promise((done) => setTimeout(done, 400))"
LOOK = """(async (theme, options) => {
  Object.assign(document.documentElement.dataset, {theme, mode: theme});
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const found = await axe.run(document, {resultTypes: ['violations'], preload: false, ...options});
  const grave = found.violations.filter((each) => ['serious', 'critical'].includes(each.impact));
  return grave.flatMap(({id, impact, help, nodes}) => nodes.map((node) => [id, impact, help, node.target.join(' ')]));
})"""
OVERFLOW = """(() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return null;
  const wide = [...document.body.querySelectorAll('*')].filter((each) => each.getBoundingClientRect().right > width + 1);
  const name = (each) => [each.tagName.toLowerCase() + (each.id ? '#' + each.id : ''), ...each.classList].join('.');
  return [document.documentElement.scrollWidth, wide.length ? name(wide[0]) : 'html'];
})()"""


class Skipped(Exception):
    """Something that the check needs cannot be had here."""


def axe_source(cache: Path = CACHE) -> str:
    """The text of axe-core, from the cache or from npm's registry; its archive must have the pinned checksum."""
    path = cache / f"axe-core-{AXE}.tgz"
    if not path.is_file():
        _fetch_axe(path)
    content = path.read_bytes()
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if found != AXE_SHA512:
        raise ValueError(f"{path} is not axe-core {AXE}: its SHA-512 is {found}, not {AXE_SHA512}; delete it and try again")
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _fetch_axe(path: Path) -> None:
    """Ask npm for the archive."""
    npm = shutil.which("npm")
    if npm is None:
        raise Skipped("there is no npm to fetch axe-core with")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", f"axe-core@{AXE}", "--pack-destination", folder, "--silent"]
        try:
            subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=NPM_SECONDS, cwd=folder)
        except (subprocess.SubprocessError, OSError):
            raise Skipped(f"npm could not fetch axe-core {AXE}") from None
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(Path(folder) / path.name, path)


def look(tab: Tab, page: Path, axe: str) -> list[str]:
    """What is wrong with one page, a line each."""
    where: dict[tuple[str, ...], list[str]] = {}
    tab.resize(WIDTHS["desktop"])
    tab.open(page)
    tab.run(axe)
    tab.run(READY)
    shown = ""
    for (device, theme), options in LOOKS.items():
        if device != shown:
            tab.resize(WIDTHS[device])
            tab.run(SETTLED)
            shown = device
        for found in tab.run(f"{LOOK}({json.dumps(theme)}, {json.dumps(options)})"):
            where.setdefault(tuple(found), []).append(f"{device} {theme}")
    lines = [f"{rule} ({impact}) {place} [{', '.join(at)}]: {text}" for (rule, impact, text, place), at in where.items()]
    if over := tab.run(OVERFLOW):  # on the phone, which comes last
        lines.append(f"{over[0]} px wide on a phone of {WIDTHS['phone']} px, first {over[1]}")
    return [*lines, *(f"console: {' '.join(error.split())}" for error in dict.fromkeys(tab.errors))]


def findings(root: Path, chromium: str, axe: str, browsers: int = 2) -> list[str]:
    """What is wrong with the pages of a folder, a line each; several browsers share the work."""
    pages = [page for page in sorted(root.rglob("*.html")) if "_static" not in page.relative_to(root).parts]
    pages = [page for page in pages if 'http-equiv="refresh"' not in page.read_text(encoding="utf-8").lower()]

    waiting: SimpleQueue[Path] = SimpleQueue()
    for page in pages:
        waiting.put(page)

    def work(_: int) -> dict[Path, list[str]]:
        done = {}
        with browser(chromium) as tab, suppress(Empty):
            while True:
                page = waiting.get_nowait()
                done[page] = look(tab, page, axe)
        return done

    with ThreadPoolExecutor(browsers) as pool:
        found = {page: lines for part in pool.map(work, range(browsers)) for page, lines in part.items()}
    return [f"{page.relative_to(root)}: {line}" for page in pages for line in found[page]]


def main(arguments: list[str] | None = None) -> int:
    """Check a folder; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the built book, _build/html")
    root = parser.parse_args(arguments).folder
    if not (root / "index.html").is_file():
        print(f"error: no built book in {root} (make book)", file=sys.stderr)
        return 2
    try:
        chromium = find_browser()
        if chromium is None:
            raise Skipped("there is no Chromium on this machine")
        lines = findings(root, chromium, axe_source())
    except Skipped as reason:
        print(f"{root}: skipped, not looked at in a browser: {reason}")
        return 0
    except (BrowserError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print("\n".join(lines) or f"{root}: every page reads well on desktop and phone, in light and dark")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
