"""A small Hugging Face Hub on this machine: it serves the files of a folder, one per request."""

import hashlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ERRORS = {
    "RepoNotFound": (404, "Repository Not Found"),
    "RevisionNotFound": (404, "Revision Not Found"),
    "EntryNotFound": (404, "Entry Not Found"),
}


@dataclass
class Hub:
    """The Hub of a test.

    Attributes:
        root: Holds a folder `user/repo` per repository.
        asked: The files asked for, in order.
        broken: Answer every request with status 503.
    """

    root: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    broken: bool = False

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and content for the path of a request."""
        if self.broken:
            return 503, {}, b""
        user, repository, *rest = path.strip("/").split("/")
        folder = self.root / user / repository
        if not folder.is_dir() or rest[:1] != ["resolve"]:
            return self._error("RepoNotFound")
        revision, name = rest[1], "/".join(rest[2:])
        commit = commit_of(folder)
        if revision not in ("main", commit):
            return self._error("RevisionNotFound")
        self.asked.append(name)
        if not (folder / name).is_file():
            return self._error("EntryNotFound", commit)
        content = (folder / name).read_bytes()
        tag = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        return 200, {"ETag": f'"{tag}"', "X-Repo-Commit": commit}, content

    def _error(self, code: str, commit: str = "") -> tuple[int, dict[str, str], bytes]:
        status, message = ERRORS[code]
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        return status, headers | ({"X-Repo-Commit": commit} if commit else {}), b""


def commit_of(folder: Path) -> str:
    """A hash of the names and contents of a folder's files."""
    digest = hashlib.sha1(usedforsecurity=False)
    for file in sorted(folder.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: Hub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_HEAD(self) -> None:
        self._send(with_content=False)

    def do_GET(self) -> None:
        self._send(with_content=True)

    def do_POST(self) -> None:
        """Nobody is logged in, so nobody may write."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(401)
        self.send_header("X-Error-Message", "Invalid username or password.")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send(self, with_content: bool) -> None:
        status, headers, content = self.server.hub.answer(self.path)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if with_content:
            self.wfile.write(content)

    def log_message(self, *args: object) -> None:
        """Print nothing."""


def serve(hub: Hub) -> ThreadingHTTPServer:
    """Serve in the background; `shutdown` ends it."""
    server = _Server(hub)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    return server
