"""The fixtures of the S3 server: one server for all tests of a file, and a bucket of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers.s3 import S3, door, moto


@pytest.fixture(scope="module")
def s3_server() -> Iterator[str]:
    with moto() as address:
        yield address


@pytest.fixture(name="s3")
def s3_bucket(s3_server: str) -> Iterator[S3]:
    with door(s3_server, f"pictures-{uuid4().hex[:12]}") as opened:
        yield opened
