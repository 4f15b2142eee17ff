"""A real S3 server on loopback, moto's, and in front of it a door of ours that has bad days on order.

Both listen outside the test's loop, so that a test which runs no loop can use them too: the server in a process of
its own, the door on a thread of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from urllib.request import ProxyHandler, Request, build_opener
from xml.etree import ElementTree

from aiohttp import ClientSession, web
from yarl import URL

#: What stands in a request of ours and in no message of anybody's.
SECRET = "not-to-be-read-anywhere"
ACCESS_KEY = "AKIAGREENROOM"
REGION = "us-east-1"
#: Whoever looks on behalf of a test shows this; moto wants to see that there is a signature, not which.
LOOKER = f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/20260101/{REGION}/s3/aws4_request, Signature=0"
DROPPED = {"transfer-encoding", "connection", "content-length", "content-encoding", "date", "server"}


@dataclass(frozen=True)
class Fault:
    """What happens instead of a right answer, to requests of a method whose address holds `about`."""

    method: str = ""
    about: str = ""
    #: So many requests have it; 0: all, until it is lifted.
    times: int = 0
    status: int = 0
    code: str = ""
    region: str = ""
    #: Nothing is said for so many seconds, then what is right.
    slow: float = 0.0
    #: The answer breaks off after so many bytes of the body.
    cut: int | None = None
    #: The connection breaks before the body of the request is read, and the server hears nothing of it.
    hangs_up: bool = False

    def fits(self, method: str, address: str) -> bool:
        return self.method in ("", method) and self.about in address


@dataclass
class S3:
    """One bucket behind the door. `asked` are the requests that came to the door, as `PUT /bucket/key`."""

    server: str
    address: str
    bucket: str
    asked: list[str] = field(default_factory=list)
    faults: list[tuple[Fault, int]] = field(default_factory=list)
    #: So many of them are over, one way or another.
    over: int = 0

    def give(self, fault: Fault) -> None:
        self.faults.append((fault, fault.times))

    def mend(self) -> None:
        self.faults.clear()

    def settings(self, **more: Any) -> dict[str, Any]:
        """What stands in the section [files] of whoever uses this bucket."""
        return {
            "store": f"s3://{self.bucket}/home/of/it",
            "endpoint": self.address,
            "region": REGION,
            "access_key": ACCESS_KEY,
            "secret_key": SECRET,
            "patience": 30.0,
        } | more

    def objects(self) -> dict[str, bytes]:
        """What lies in the bucket, by its whole key, as the server itself says."""
        listed = ElementTree.fromstring(self._call("GET", "?list-type=2"))
        keys = [str(one.text) for one in listed.iterfind("{*}Contents/{*}Key")]
        return {unquote(key): self._call("GET", f"/{quote(unquote(key))}") for key in keys}

    def put(self, key: str, data: bytes) -> None:
        self._call("PUT", f"/{quote(key)}", data)

    def kind(self, key: str) -> str:
        """As what a file would be served."""
        with _open(self._request("HEAD", f"/{quote(key)}")) as answer:
            return str(answer.headers["content-type"])

    def unfinished(self) -> int:
        """How many uploads in parts were begun and neither ended nor aborted."""
        listed = ElementTree.fromstring(self._call("GET", "?uploads"))
        return len(listed.findall("{*}Upload"))

    def make(self) -> None:
        self._call("PUT", "")

    def drop(self) -> None:
        """The bucket goes, with all that is in it."""
        for key in self.objects():
            self._call("DELETE", f"/{quote(key)}")
        self._call("DELETE", "")

    def taken(self, method: str, address: str) -> Fault | None:
        """The fault that this request has, which is used up by it."""
        for number, (fault, left) in enumerate(self.faults):
            if fault.fits(method, address):
                if left == 1:
                    del self.faults[number]
                elif left:
                    self.faults[number] = fault, left - 1
                return fault
        return None

    def _call(self, method: str, rest: str, data: bytes | None = None) -> bytes:
        with _open(self._request(method, rest, data)) as answer:
            return bytes(answer.read())

    def _request(self, method: str, rest: str, data: bytes | None = None) -> Request:
        headers = {"Authorization": LOOKER}
        return Request(f"{self.server}/{self.bucket}{rest}", data=data, headers=headers, method=method)


def _open(request: Request) -> Any:
    # Past the proxies that this machine may know.
    return build_opener(ProxyHandler({})).open(request, timeout=20)


@contextmanager
def moto() -> Iterator[str]:
    """The server; answers its address."""
    child = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "child.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        port = child.stdout.readline().strip()
        assert port, "moto's server did not start"
        yield f"http://127.0.0.1:{int(port)}"
    finally:
        child.stdin.close()
        child.stdout.close()
        child.wait(20)


@contextmanager
def door(server: str, bucket: str) -> Iterator[S3]:
    """A new bucket on the server, and the door to it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="s3-door", daemon=True)
    thread.start()
    s3 = S3(server, "", bucket)
    opened = _Door(s3)
    try:
        s3.make()
        s3.address = asyncio.run_coroutine_threadsafe(opened.open(), loop).result(20)
        yield s3
    finally:
        asyncio.run_coroutine_threadsafe(opened.close(), loop).result(20)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)
        loop.close()


class _Door:
    def __init__(self, s3: S3) -> None:
        self._s3 = s3
        self._runner: web.AppRunner | None = None
        self._client: ClientSession | None = None

    async def open(self) -> str:
        self._client = ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=2**28)
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()
        # Who was slow on order is not waited for.
        late = asyncio.all_tasks() - {asyncio.current_task()}
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self._s3.asked.append(f"{request.method} {request.path_qs}")
        try:
            return await self._answered(request)
        finally:
            self._s3.over += 1

    async def _answered(self, request: web.Request) -> web.StreamResponse:
        fault = self._s3.taken(request.method, request.path_qs)
        if fault is None:
            return await self._right(request)
        if fault.hangs_up:
            return _hung_up(request)
        if fault.slow:
            await asyncio.sleep(fault.slow)
            return await self._right(request)
        if fault.cut is not None:
            return await self._cut(request, fault.cut)
        await request.read()
        region = f"<Region>{fault.region}</Region>" if fault.region else ""
        told = f"<Error><Code>{fault.code}</Code><Message>{SECRET}</Message>{region}</Error>"
        return web.Response(
            status=fault.status, text=told if fault.code else "", content_type="application/xml"
        )

    async def _right(self, request: web.Request) -> web.Response:
        status, headers, body = await self._told(request)
        return web.Response(status=status, headers=headers, body=body)

    async def _cut(self, request: web.Request, after: int) -> web.StreamResponse:
        status, headers, body = await self._told(request)
        answer = web.StreamResponse(status=status, headers=headers | {"Content-Length": str(len(body))})
        await answer.prepare(request)
        await answer.write(body[:after])
        return _hung_up(request, answer)

    async def _told(self, request: web.Request) -> tuple[int, dict[str, str], bytes]:
        assert self._client is not None
        sent = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        address = f"{self._s3.server}{request.raw_path}"
        async with self._client.request(
            request.method,
            URL(address, encoded=True),
            headers=sent,
            data=BytesIO(await request.read()),
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in DROPPED}
            return answer.status, kept, body


def _hung_up(request: web.Request, answer: web.StreamResponse | None = None) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return answer or web.Response()
