"""The end of the log, for whoever runs the house: its lines as they were written, and no secret among them.

What writes it leaves out what is called a secret; here also what looks like one is struck out, wherever it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

#: So many bytes are read from the end; a line that begins before is left out.
MOST_BYTES = 1_000_000
STRUCK = "•••"

#: Keys of ours, of a model hub and of other servers; tokens of Telegram and Discord; what follows `Bearer`, and what
#: stands before an @ in an address.
_LOOKS_SECRET = re.compile(
    r"\bgrk_[\w-]{8,}|\bhf_[A-Za-z0-9]{8,}|\bsk-[\w-]{8,}|(?<!\d)\d{6,12}:[\w-]{30,}"
    r"|\b[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,}|(?<=[Bb]earer )[^\s\"']+|(?<=://)[^\s/@\"']+(?=@)"
)


def last_lines(file: Path, most: int, *, secrets: Collection[str] = ()) -> list[dict[str, Any]]:
    """The last lines, the oldest first; none where there is no log. `secrets` are struck out, too."""
    try:
        with file.open("rb") as log:
            size = log.seek(0, 2)
            log.seek(max(0, size - MOST_BYTES))
            data = log.read()
    except OSError:
        return []
    lines = data.splitlines()
    if size > MOST_BYTES:
        lines = lines[1:]
    hidden = [one for one in secrets if len(one) >= 6]
    return [_told(line.decode("utf-8", "replace"), hidden) for line in lines[-most:] if line.strip()]


def struck(text: str, secrets: Collection[str] = ()) -> str:
    for one in secrets:
        text = text.replace(one, STRUCK)
    return _LOOKS_SECRET.sub(STRUCK, text)


def _told(line: str, secrets: Collection[str]) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        return {"at": "", "level": "", "event": struck(line, secrets), "about": {}}
    said = {str(name): _clean(value, secrets) for name, value in told.items()}
    rest = {name: value for name, value in said.items() if name not in ("timestamp", "level", "event")}
    return {
        "at": str(said.get("timestamp", "")),
        "level": str(said.get("level", "")),
        "event": str(said.get("event", "")),
        "about": rest,
    }


def _clean(value: Any, secrets: Collection[str]) -> Any:
    if isinstance(value, str):
        return struck(value, secrets)
    if isinstance(value, list):
        return [_clean(one, secrets) for one in value]
    if isinstance(value, dict):
        return {str(name): _clean(one, secrets) for name, one in value.items()}
    return value
