"""The page's password: argon2id, of which the home keeps the hash. It knows nothing of who asks."""

from __future__ import annotations

import unicodedata

from engine.errors import BadRequest
from engine.home import Home

SHORTEST, LONGEST = 8, 1_000


def is_set(home: Home) -> bool:
    return bool(home.password_hash())


def keep(home: Home, password: str) -> None:
    """From now on this one is asked for. It takes a while, and so does `fits`: that is what it is for."""
    from argon2 import PasswordHasher

    if not SHORTEST <= len(password) <= LONGEST:
        raise BadRequest(f"A password has {SHORTEST} to {LONGEST} characters.")
    home.keep_password_hash(PasswordHasher().hash(_same_everywhere(password)))


def remove(home: Home) -> bool:
    """Answers whether there was one."""
    there = is_set(home)
    home.keep_password_hash("")
    return there


def fits(home: Home, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHashError

    kept = home.password_hash()
    if not kept or len(password) > LONGEST:
        return False
    try:
        return PasswordHasher().verify(kept, _same_everywhere(password))
    except (Argon2Error, InvalidHashError):
        return False


def _same_everywhere(password: str) -> bytes:
    """One keyboard writes é as one sign, another as two."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
