"""The hands that fetch a document from the web, or tell it something: bounded in time, bytes and redirects, and never
inside a house.

What is fetched or told is not known here.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import zlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from engine.errors import BadRequest, GreenroomError, NotFound, Refused, TryAgain
from engine.locales import Said, say

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from aiohttp.abc import AbstractResolver

#: So many bytes are read, and nothing of what is longer is used.
MOST_BYTES = 5 * 1024 * 1024
#: So long all of it may take, in seconds, and so often it may lead elsewhere.
PATIENCE = 20.0
MOST_REDIRECTS = 5

FEEDS = (
    "application/atom+xml, application/rss+xml, application/rdf+xml, "
    "application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"
)

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


@dataclass(frozen=True)
class Fetched:
    """What came. `unchanged`: nothing new, in the server's own words."""

    address: str
    body: bytes = b""
    content_type: str = ""
    etag: str = ""
    modified: str = ""
    unchanged: bool = False


async def fetch(
    address: str,
    *,
    private: bool = False,
    etag: str = "",
    modified: str = "",
    accept: str = FEEDS,
    most: int = MOST_BYTES,
    patience: float = PATIENCE,
) -> Fetched:
    """What stands at an address. `private`: whether that may be on this machine, or in a network of its own.

    Raises `BadRequest` for what is no address or too large, `Refused` for what is private, `NotFound` for what is not
    there, and `TryAgain`, with the time after which, for what may pass.
    """
    known = {"If-None-Match": etag, "If-Modified-Since": modified}
    asked = {name: value for name, value in known.items() if value} | {
        "Accept": accept,
        "Accept-Encoding": "gzip, deflate",
        "User-Agent": f"{_agent()} (a reader of feeds)",
    }
    async with _out(address, private, patience) as session:
        return await _followed(session, check_address(address, private=private), asked, private, most)


async def tell(
    address: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    private: bool = False,
    patience: float = PATIENCE,
) -> None:
    """Post something to an address, once. It is heard where the answer begins with 2; nobody is followed elsewhere.

    Raises what `fetch` raises: `NotFound` where there is nothing any more, `TryAgain` for all that may pass.
    """
    sent = {"User-Agent": _agent()} | dict(headers)
    async with _out(address, private, patience) as session:
        there = check_address(address, private=private)
        async with session.post(there, data=body, headers=sent, allow_redirects=False) as answer:
            if answer.status == 410:
                raise NotFound(say("fetching.not_there", status=str(answer.status)))
            if not 200 <= answer.status < 300:
                after = _retry_after(answer.headers.get("Retry-After", ""))
                told = say("fetching.status", host=host_of(address), status=str(answer.status))
                raise TryAgain(told, after_s=after.total_seconds())


def _agent() -> str:
    return f"Greenroom/{metadata.version('greenroom')}"


@asynccontextmanager
async def _out(address: str, private: bool, patience: float) -> AsyncIterator[Any]:
    """A session to that address alone; whatever goes wrong within is an error of ours."""
    import aiohttp

    # Each name is looked up by us and connected to as it was looked up: it cannot lead elsewhere a moment later. And
    # whatever a name was taken for on the way, the address that a connection goes to is looked at once more.
    connector = aiohttp.TCPConnector(
        resolver=_resolver(private), socket_factory=_sockets(private), limit=1, force_close=True
    )
    try:
        async with asyncio.timeout(patience):
            async with aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
            ) as session:
                yield session
    except GreenroomError:
        raise
    except TimeoutError:
        raise TryAgain(say("fetching.slow", n=round(patience))) from None
    except aiohttp.InvalidURL:
        raise BadRequest(say("fetching.no_address", told=address[:60])) from None
    except (aiohttp.ClientError, OSError, ValueError, zlib.error) as error:
        raise TryAgain(say("fetching.broken", host=host_of(address), why=_why(error))) from None


async def _followed(
    session: Any, address: str, headers: Mapping[str, str], private: bool, most: int
) -> Fetched:
    for _ in range(MOST_REDIRECTS + 1):
        async with session.get(address, headers=headers, allow_redirects=False) as answer:
            if answer.status not in _REDIRECTS:
                return await _read(answer, address, most)
            there = urljoin(address, answer.headers.get("Location", ""))
        address = check_address(there, private=private)
    raise BadRequest(say("fetching.redirects", n=MOST_REDIRECTS))


async def _read(answer: ClientResponse, address: str, most: int) -> Fetched:
    if answer.status == 304:
        return Fetched(address, unchanged=True)
    if answer.status in (404, 410):
        raise NotFound(say("fetching.not_there", status=str(answer.status)))
    if answer.status != 200:
        after = _retry_after(answer.headers.get("Retry-After", ""))
        told = say("fetching.status", host=host_of(address), status=str(answer.status))
        raise TryAgain(told, after_s=after.total_seconds())
    if (answer.content_length or 0) > most:
        raise BadRequest(say("fetching.too_large", n=most // 2**20))
    body = bytearray()
    unpacked = _unpacking(answer.headers.get("Content-Encoding", ""))
    async for part in answer.content.iter_chunked(65_536):
        # Never more than one byte too many, however small it was packed.
        body += unpacked.decompress(part, most + 1 - len(body)) if unpacked else part
        if len(body) > most:
            raise BadRequest(say("fetching.too_large", n=most // 2**20))
    if unpacked and not unpacked.eof:
        raise TryAgain(say("fetching.broken", host=host_of(address), why=say("fetching.cut")))
    return Fetched(
        address,
        bytes(body),
        answer.headers.get("Content-Type", "")[:200],
        answer.headers.get("ETag", "")[:500],
        answer.headers.get("Last-Modified", "")[:100],
    )


def _unpacking(encoding: str) -> Any:
    told = encoding.strip().lower()
    if told in ("", "identity"):
        return None
    if told in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(wbits=47 if told != "deflate" else 15)
    raise ValueError(say("fetching.packed"))


def _retry_after(told: str) -> timedelta:
    """Seconds, or a moment."""
    told = told.strip()
    if told.isascii() and told.isdecimal():
        return timedelta(seconds=min(int(told[:9]), 10_000_000))
    try:
        moment = parsedate_to_datetime(told)
    except ValueError:
        return timedelta()
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(timedelta(), moment - datetime.now(UTC))


# Where nobody is sent


def check_address(address: str, *, private: bool = False) -> str:
    """An address that may be fetched, as far as that can be told without looking its name up."""
    from yarl import URL

    try:
        # As whoever connects will read it: wide digits are digits there.
        parts = URL(address.strip())
        host = parts.host or ""
    except ValueError:
        host, parts = "", URL()
    if parts.scheme not in ("http", "https") or not host or len(address) > 2_000:
        raise BadRequest(say("fetching.no_address", told=address[:60]))
    if parts.user is not None or parts.password is not None:
        raise BadRequest(say("fetching.has_key"))
    try:
        ipaddress.ip_address(host)
    except ValueError:  # a name: what it leads to is looked at when it is looked up
        return address.strip()
    if not private and not is_public(host):
        raise Refused(say("fetching.private", host=host))
    return address.strip()


def is_public(host: str) -> bool:
    """Whether an IP address is one of the whole world's, whatever it is wrapped in.

    >>> is_public("93.184.216.34"), is_public("::ffff:10.0.0.1"), is_public("169.254.169.254")
    (True, False, False)
    """
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if wrapped is None and address in _NAT64:
            wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if wrapped is not None:
            return is_public(str(wrapped))
    return address.is_global and not (address.is_multicast or address.is_reserved)


def _resolver(private: bool) -> AbstractResolver:
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.resolver import ThreadedResolver

    class Checked(AbstractResolver):
        """Looks names up as the system does, and forgets what is nobody's business."""

        def __init__(self) -> None:
            self._system = ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> list[ResolveResult]:
            found = await self._system.resolve(host, port, family)
            allowed = [one for one in found if private or is_public(one["host"])]
            if not allowed:
                raise Refused(say("fetching.private", host=host[:60]))
            return allowed

        async def close(self) -> None:
            await self._system.close()

    return Checked()


def _sockets(private: bool) -> Callable[[tuple[Any, ...]], socket.socket]:
    def made(where: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, address = where
        if not private and not is_public(str(address[0])):
            raise Refused(say("fetching.private", host=str(address[0])[:60]))
        return socket.socket(family, kind, protocol)

    return made


def host_of(address: str) -> str:
    """Whose it is, for whoever reads of it: an address may have a key in it."""
    try:
        return (urlsplit(address).hostname or "")[:80]
    except ValueError:
        return ""


def _why(error: BaseException) -> str:
    """In a few words, without the address."""
    from aiohttp import ClientConnectorError, ClientPayloadError, ServerDisconnectedError

    if isinstance(error, ClientConnectorError):
        return error.os_error.strerror or say("fetching.unreachable")
    if isinstance(error, ClientPayloadError | ServerDisconnectedError):
        return say("fetching.cut")
    told = error.args[0] if error.args else ""
    return told if isinstance(told, Said) else str(error)[:120] or type(error).__name__
