"""A real llama-server on loopback, where one can be had: `GREENROOM_LLAMA_SERVER` names it, or it is on the PATH."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

import httpx

WITHIN = 30.0


def found() -> str | None:
    return os.environ.get("GREENROOM_LLAMA_SERVER") or shutil.which("llama-server")


class LlamaServer:
    """One process, one model. `open` may be called again and again; `close` ends it."""

    def __init__(self, binary: str, model: Path) -> None:
        self._binary = binary
        self._model = model
        self._process: asyncio.subprocess.Process | None = None
        self._address = ""
        self._opening = asyncio.Lock()

    async def open(self) -> str:
        """The address that a client is given."""
        async with self._opening:
            return await self._opened()

    async def _opened(self) -> str:
        if self._process is None:
            port = _free_port()
            self._address = f"http://127.0.0.1:{port}/v1"
            self._process = await asyncio.create_subprocess_exec(
                self._binary,
                *("-m", str(self._model), "--host", "127.0.0.1", "--port", str(port)),
                *("-c", "8192", "-np", "1", "-t", "1", "--no-webui"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await self._well(port)
        return self._address

    async def close(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()

    async def _well(self, port: int) -> None:
        async with asyncio.timeout(WITHIN), httpx.AsyncClient() as client:
            while True:
                try:
                    if (await client.get(f"http://127.0.0.1:{port}/health")).is_success:
                        return
                except httpx.TransportError:
                    assert self._process is not None
                    assert self._process.returncode is None, "it ended by itself"
                await asyncio.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
