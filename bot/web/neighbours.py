"""Whose the other end of a connection is that comes from this very machine.

A proxy that hides where people come from, and other users of this machine, come by loopback too; the system knows who
they are. Where it does not tell, nobody knows.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

#: Where Linux writes down all connections.
TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
#: Whoever runs the machine reads everything here anyhow.
ROOT = 0

End = tuple[str, int]


def is_somebody_else(here: End, there: End) -> bool:
    """Whether a connection between these two ends belongs, at `there`, to another user of this machine."""
    if not hasattr(os, "geteuid"):
        return False
    owner = owner_of(here, there)
    return owner is not None and owner not in (ROOT, os.geteuid())


def owner_of(here: End, there: End) -> int | None:
    """The number of the user who holds the end `there`; None where the system does not say."""
    for table in TABLES:
        with suppress(OSError, ValueError), table.open(encoding="ascii") as lines:
            if (owner := told_in(lines, here, there)) is not None:
                return owner
    return None


def told_in(lines: Iterable[str], here: End, there: End) -> int | None:
    wanted = {(_written(there, mapped=mapped), _written(here, mapped=mapped)) for mapped in (False, True)}
    for line in lines:
        parts = line.split()
        # An end that nobody holds any more has no number of its own, and no user.
        if len(parts) > 9 and (parts[1], parts[2]) in wanted and parts[9] != "0":
            return int(parts[7])
    return None


def _written(end: End, *, mapped: bool = False) -> str:
    """An end as the table has it: in hexadecimal, by words of four bytes as they lie in memory."""
    address: IPv4Address | IPv6Address = ip_address(end[0].partition("%")[0])
    if mapped and isinstance(address, IPv4Address):
        address = IPv6Address(f"::ffff:{address}")
    packed = address.packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    return "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words) + f":{end[1]:04X}"
