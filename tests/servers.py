"""A server that behaves badly in the ways that real ones do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tsynd.utils.downloads import RetryPolicy

QUICK = RetryPolicy(wait=0.01, connect=1.0, silence=0.2)


class Server(ThreadingHTTPServer):
    """Answers with `content`, in the way that the first part of the path says; `asked`: how often it was.

    ok, slow; missing (404), busy (503), busy-twice (503, then well); wrong (other bytes), cut (half of them, then the end),
    stall (half of them, then silence), unsized (without the length).
    """

    content = b""
    asked = 0
    daemon_threads = True

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.over = threading.Event()

    def address(self, way: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{way}"


class Answer(BaseHTTPRequestHandler):
    """One answer."""

    server: Server

    def do_GET(self) -> None:
        server, way = self.server, self.path.split("/")[1]
        server.asked += 1
        if way == "missing":
            return self.send_error(404)
        if way == "busy" or (way == "busy-twice" and server.asked <= 2):
            return self.send_error(503)
        self.send_response(200)
        if way != "unsized":
            self.send_header("Content-Length", str(len(server.content)))
        self.end_headers()
        half = len(server.content) // 2
        first = {"wrong": bytes(len(server.content)), "cut": server.content[:half], "stall": server.content[:half]}
        self.wfile.write(first.get(way, server.content[:half] if way == "slow" else server.content))
        if way == "stall":
            server.over.wait(5)
        if way == "slow":
            server.over.wait(0.15)
            self.wfile.write(server.content[half:])
        return None

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@contextmanager
def running() -> Iterator[Server]:
    """A server that answers until the block ends."""
    with Server(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()
