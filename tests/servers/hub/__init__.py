"""A model hub on loopback: the few requests that fetching models takes, real bytes and fingerprints, and bad days.

It listens on a thread of its own, so that a test which runs no loop can use it too. A second port plays the store to
which the hub sends those who fetch large files.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_REPO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/]+)")


@dataclass
class Repo:
    """Files by name. Those of at least `large` bytes have a SHA-256, and lie in the store."""

    files: dict[str, bytes]
    large: int = 64
    gated: bool = False
    private: bool = False
    #: What the hub says of a file, where that is not true.
    said_sha256: dict[str, str] = field(default_factory=dict)
    said_size: dict[str, int] = field(default_factory=dict)

    @property
    def revision(self) -> str:
        told = hashlib.sha1(usedforsecurity=False)
        for name, data in sorted(self.files.items()):
            told.update(name.encode() + data)
        return told.hexdigest()


@dataclass(frozen=True)
class Request:
    """One that came: `hub` or `store`, and what of its headers matters."""

    at: str
    path: str
    range: str
    authorization: str


@dataclass(frozen=True)
class Refusal:
    """An answer that is given instead of the right one."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Quietly: whoever is interrupted hangs up in the middle, and that is what is tested."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Hub:
    """`with Hub() as hub:` starts and ends it; `HF_ENDPOINT` is to be `hub.url`."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.requests: list[Request] = []
        #: Tokens that open gated and private repositories.
        self.tokens: set[str] = set()
        #: Answers to the next requests to the hub, and to the store, before anything right is said.
        self.refusing: dict[str, deque[Refusal]] = {"hub": deque(), "store": deque()}
        #: After so many bytes the store cuts the line, once each.
        self.cuts: deque[int] = deque()
        #: The store ignores `Range`, and begins anew.
        self.forgetful = False
        #: The store sends other bytes than it has.
        self.tampering = False
        #: The store sends so many bytes, and then nothing until this is set.
        self.held: tuple[int, threading.Event] | None = None
        self.sending = threading.Event()
        self._servers = {at: _Server(("127.0.0.1", 0), partial(_Handler, self, at)) for at in self.refusing}
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in self._servers.values()
        ]

    @property
    def url(self) -> str:
        return self.url_of("hub")

    def url_of(self, at: str) -> str:
        # Another name of the same machine, so that hub and store are two hosts.
        host = "127.0.0.1" if at == "hub" else "localhost"
        return f"http://{host}:{self._servers[at].server_address[1]}"

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.held is not None:
            self.held[1].set()
        for server in self._servers.values():
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join()

    def refuse(self, status: int, *, times: int = 1, at: str = "hub", **headers: str) -> None:
        named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        self.refusing[at].extend([Refusal(status, named)] * times)

    def fetched(self, file: str) -> list[str]:
        """The ranges in which a file was asked of the store, in order."""
        return [one.range for one in self.requests if one.at == "store" and one.path.endswith(f"/{file}")]

    @contextmanager
    def holding(self, after: int) -> Iterator[None]:
        """The store stops in the middle for as long as the block lasts; `sending` is set when it does."""
        self.held = (after, threading.Event())
        try:
            yield
        finally:
            self.held[1].set()
            self.held = None
            self.sending.clear()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, at: str, *rest: Any) -> None:
        self.hub, self.at = hub, at
        super().__init__(*rest)

    def log_message(self, *_said: object) -> None:
        """Quietly: what came is in `Hub.requests`."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        authorization = self.headers.get("Authorization", "")
        self.hub.requests.append(Request(self.at, path, self.headers.get("Range", ""), authorization))
        if self.hub.refusing[self.at]:
            refusal = self.hub.refusing[self.at].popleft()
            self._say(refusal.status, b"{}", dict(refusal.headers))
            return
        if (asked := _REPO.fullmatch(path)) is not None and self.at == "hub":
            self._listing(asked["repo"])
            return
        if (asked := _FILE.fullmatch(path)) is not None:
            self._file(asked["repo"], asked["revision"], asked["file"])
            return
        self._say(404, b"")

    def _allowed(self, name: str) -> Repo | None:
        """The repository, if whoever asks may see it. As the real one: who shows nothing learns nothing."""
        repo = self.hub.repos.get(name)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if token and token not in self.hub.tokens:
            self._say(401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})
        elif repo is None or (repo.private and not token):
            self._say(404 if token else 401, b"", {"X-Error-Code": "RepoNotFound"})
        else:
            return repo
        return None

    def _listing(self, name: str) -> None:
        repo = self._allowed(name)
        if repo is None:
            return
        siblings = []
        for file, data in repo.files.items():
            size = repo.said_size.get(file, len(data))
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            one: dict[str, object] = {"rfilename": file, "size": size, "blobId": blob}
            if len(data) >= repo.large:
                sha256 = repo.said_sha256.get(file, hashlib.sha256(data).hexdigest())
                one["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 130}
            siblings.append(one)
        told = {"id": name, "sha": repo.revision, "siblings": siblings}
        self._say(200, json.dumps(told).encode(), {"Content-Type": "application/json"})

    def _file(self, name: str, revision: str, file: str) -> None:
        repo = self.hub.repos.get(name) if self.at == "store" else self._allowed(name)
        if repo is None:
            return
        if self.at == "hub" and repo.gated and not self.headers.get("Authorization"):
            self._say(401, b"", {"X-Error-Code": "GatedRepo"})
            return
        data = repo.files.get(file)
        if data is None or revision != repo.revision:
            self._say(404, b"", {"X-Error-Code": "EntryNotFound"})
            return
        if self.at == "hub" and len(data) >= repo.large:
            self._say(302, b"", {"Location": f"{self.hub.url_of('store')}{self.path}"})
            return
        self._send(bytes(255 - byte for byte in data) if self.hub.tampering else data)

    def _send(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and not self.hub.forgetful else 0
        if start >= len(data) > 0:
            self._say(416, b"", {"Content-Range": f"bytes */{len(data)}"})
            return
        body = data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        if self.hub.held is not None:
            after, go_on = self.hub.held
            self.wfile.write(body[:after])
            self.wfile.flush()
            self.hub.sending.set()
            go_on.wait()
            self.close_connection = True
        elif self.at == "store" and self.hub.cuts:
            self.wfile.write(body[: self.hub.cuts.popleft()])
            self.close_connection = True
        else:
            self.wfile.write(body)

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
