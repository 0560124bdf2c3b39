"""A headless Chromium without a network, driven over its debugging pipe: no more than what the checks need.

Commands and events are those of the Chrome DevTools Protocol: JSON, each ended by a zero byte, on file descriptors 3 and 4.
"""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 120
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-extensions",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--remote-debugging-pipe",
)
# No name resolves, and no address is reached but through a proxy that is not there: what a page fetches fails, and is seen.
OFFLINE = ("--host-resolver-rules=MAP * ~NOTFOUND", "--proxy-server=127.0.0.1:9", "--proxy-bypass-list=<-loopback>")
# The browser's ends of the two pipes become its descriptors 3 and 4 (a shell cannot name those above 9).
WIRED = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execv(sys.argv[3], sys.argv[3:])"


class BrowserError(RuntimeError):
    """The browser did not start, died, took too long, or a script in a page failed."""


def find_browser() -> str | None:
    """The path of a Chromium, or None when this machine has none."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


@contextmanager
def browser(path: str) -> Iterator["Tab"]:
    """A browser with one tab and a new, empty profile; it ends with the block, and leaves nothing behind."""
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    with tempfile.TemporaryDirectory(prefix="tsynd-browser-", ignore_cleanup_errors=True) as profile:
        wired = [sys.executable, "-IS", "-c", WIRED, str(commands), str(answers)]
        command = [*wired, path, *FLAGS, *OFFLINE, f"--user-data-dir={profile}", "about:blank"]
        quiet = subprocess.DEVNULL
        process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, pass_fds=(commands, answers))
        os.close(commands)
        os.close(answers)
        try:
            yield Tab(from_browser, to_browser)
        finally:
            os.close(to_browser)  # the browser quits when its pipe closes
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            os.close(from_browser)


class Tab:
    """The tab of a browser. `errors`: what the page that is open wrote to its console as an error, in order."""

    def __init__(self, from_browser: int, to_browser: int) -> None:
        self._from, self._to = from_browser, to_browser
        self._waiting, self._number, self._session = b"", 0, ""
        self._loaded = False
        self.errors: list[str] = []
        pages = self.send("Target.getTargets")["targetInfos"]
        target = next(page["targetId"] for page in pages if page["type"] == "page")
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """Give one command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        waiting = memoryview(json.dumps(message).encode() + b"\0")
        try:
            while waiting:
                waiting = waiting[os.write(self._to, waiting) :]
        except BrokenPipeError:
            raise BrowserError("the browser ended by itself") from None
        while (answer := self._next()).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise BrowserError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def open(self, path: Path, *, scripts: bool = True) -> None:
        """Open a file and wait until it has loaded; `scripts=False` turns JavaScript off in it."""
        self.send("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.errors.clear()
        self._loaded = False
        self.send("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._note(self._next())

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page another width and height, in CSS pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def press(self, key: str, code: int) -> None:
        """Press a key, by its name and its number: `ArrowRight`, 39."""
        for kind in ("rawKeyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression in the page; a promise is waited for."""
        found = self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            details = found["exceptionDetails"]
            raise BrowserError(details.get("exception", {}).get("description") or details["text"])
        return found["result"].get("value")

    def _next(self) -> dict[str, Any]:
        """The next message of the browser."""
        until = time.monotonic() + SECONDS
        while b"\0" not in self._waiting:
            ready, _, _ = select.select([self._from], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise BrowserError(f"the browser said nothing for {SECONDS} seconds")
            part = os.read(self._from, 1 << 20)
            if not part:
                raise BrowserError("the browser ended by itself")
            self._waiting += part
        message, _, self._waiting = self._waiting.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, event: dict[str, Any]) -> None:
        """Keep what an event says about the page."""
        about = event.get("params", {})
        match event.get("method"):
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.exceptionThrown":
                details = about["exceptionDetails"]
                self.errors.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled" if about["type"] in ("error", "assert"):
                self.errors.append(" ".join(str(each.get("value", each.get("description"))) for each in about["args"]))
            case "Log.entryAdded" if about["entry"]["level"] == "error":
                self.errors.append(f"{about['entry']['text']} {about['entry'].get('url', '')}".strip())
