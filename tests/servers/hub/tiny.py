"""A hub with one small model, and an environment in which the hub's client asks it and nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers.hub import Hub, Repo
from tests.servers.hub.models import gguf

#: What would lead its client elsewhere, or say who asks.
ELSEWHERE = (
    "HF_TOKEN",
    "HUGGING_FACE_HUB_TOKEN",
    "HF_HUB_OFFLINE",
    "HF_TOKEN_PATH",
    "HTTP_PROXY",
    "http_proxy",
)


@contextmanager
def tiny_hub(monkeypatch: pytest.MonkeyPatch, folder: Path, size: int) -> Iterator[Hub]:
    """`owner/tiny` with `tiny.gguf` of so many bytes; the client keeps its own things in the folder."""
    for name in ELSEWHERE:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    with Hub() as opened:
        opened.repos["owner/tiny"] = Repo({"tiny.gguf": gguf(size)})
        monkeypatch.setenv("HF_ENDPOINT", opened.url)
        yield opened
