"""Pure: which names are ours, which pages are ours, and what a browser is told of all we send.

A page somewhere else may make a browser call us, even under a name of its own that it lets point to this machine. We
answer to our own names alone, and to no other page. Who calls, it does not know.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from engine.settings import FileSettings, WebSettings, is_loopback, split_host

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Names:
    """Under which names this house is reached."""

    beyond_loopback: bool = False
    #: Beside those of loopback and plain addresses; with a port, where the operator wrote one.
    allowed: frozenset[str] = frozenset()

    @classmethod
    def of(cls, web: WebSettings) -> Names:
        told = map(split_host, web.allowed_hosts)
        allowed = frozenset(f"{name}:{port}" if port else name for name, port in told)
        return cls(not is_loopback(web.host), allowed)

    def are_ours(self, host: str) -> bool:
        """Whether a Host header names us."""
        name, port = split_host(host)
        if not name:
            return False
        if is_loopback(name) or name in self.allowed or f"{name}:{port}" in self.allowed:
            return True
        # Nobody's name points there: whoever wrote an address means this machine.
        return self.beyond_loopback and _is_address(name)

    def is_our_page(self, origin: str, host: str) -> bool:
        """Whether the page that asks was sent by us. `host` is what this request says that we are called."""
        scheme, _, rest = origin.partition("://")
        name, port = split_host(rest)
        if scheme not in _PORTS or not name:
            return False
        usual = _PORTS[scheme]
        called, at = split_host(host)
        if (name, port or usual) == (called, at or usual):
            return True
        # Some proxies call us by another name than the one under which the browser knows us.
        plain = name if (port or usual) == usual else f"{name}:{port}"
        return plain in self.allowed


def _is_address(name: str) -> bool:
    with suppress(ValueError):
        ip_address(name)
        return True
    return False


def security_headers(files: FileSettings) -> dict[str, str]:
    """What every answer carries that does not say otherwise itself."""
    pictures = " ".join(["'self'", "data:", "blob:", *bucket_origin(files)])
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": pictures,
        "connect-src": "'self'",
        "font-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        # With less than that, a form of our own would not say where it came from.
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Cache-Control": "no-store",
    }


def bucket_origin(files: FileSettings) -> tuple[str, ...]:
    """Where the pictures' signed addresses lead, when they do not lead to us."""
    if not files.public and not files.store:
        return ()
    there = files.public or files.endpoint
    if not there:
        told = files.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or ""
        region = told if told.replace("-", "").isalnum() and told.isascii() else "us-east-1"
        return (f"https://s3.{region}.amazonaws.com",)
    parts = urlsplit(there)
    return (f"{parts.scheme}://{parts.netloc.encode('idna').decode()}",)
