"""What `greenroom doctor` says of the doors: to whom the page opens, by what they come in, and through which proxy;
and of the folder that feeds borrow pictures from. Nothing is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.errors import StoreError

if TYPE_CHECKING:
    from engine.home import Home
    from engine.settings import Settings

#: What was looked at, its state, what is so, and what mends it; as `doctor` shows them.
Told = tuple[str, str, str, str]


async def looked_at(settings: Settings, home: Home) -> list[Told]:
    return [*_doors(settings, home, await _keys(settings, home)), *_folder(settings)]


def _doors(settings: Settings, home: Home, keys: int) -> Iterator[Told]:
    from bot import passwords
    from engine.settings import is_loopback
    from engine.settings_file import settings_file

    web = settings.web
    edit = f"${{EDITOR:-vi}} '{settings_file(home.path)}'"
    has_password = passwords.is_set(home)
    if has_password and not home.password_hash().startswith("$argon2"):
        yield (
            "doors",
            "broken",
            "the page's password cannot be read: nobody comes in by it",
            "greenroom password",
        )
        return
    known = ", ".join(web.allowed_hosts)
    port = f"port {web.port}" if web.port else "any free port"
    where = web.address if is_loopback(web.host) and web.port else f"{web.host}, {port}"
    where += f", and as {known}" if known else ""
    asked = " or ".join(
        ["the password"] * has_password + [f"one of {keys} keys" if keys > 1 else "the key"] * bool(keys)
    )
    if web.beyond_loopback and not asked:
        says = f"the settings open the page to others ({where}), with neither a password nor a key: it does not start"
        yield "doors", "broken", says, "greenroom password"
    elif web.beyond_loopback:
        yield "doors", "ok", f"the page opens to others ({where}), for {asked}", ""
    elif web.trusted_proxies and not asked:
        says = f"the page opens at {where} behind a proxy, and there is neither a password nor a key to come in by"
        yield "doors", "warning", says, "greenroom password"
    elif has_password or web.trusted_proxies:
        yield "doors", "ok", f"the page opens at {where}, for {asked}", ""
    else:
        yield (
            "doors",
            "ok",
            f"the page opens at {where}, without a password to who runs it at this machine",
            "",
        )
    if is_loopback(web.host) and web.beyond_loopback and not web.trusted_proxies:
        says = (
            f"a proxy must stand before {known}, and web.trusted_proxies does not name it: all who come through it "
            "count as one, also when one of them guesses the password"
        )
        yield "doors", "warning", says, edit


def _folder(settings: Settings) -> Iterator[Told]:
    import os

    if not settings.feeds.folder:
        return
    folder = settings.home / settings.feeds.folder
    if not folder.is_dir():
        says = f"there is no folder {folder}: posts that borrow their pictures from it have none"
        yield "feeds", "warning", says, f"mkdir -p '{folder}'"
    elif not os.access(folder, os.R_OK | os.X_OK):
        yield "feeds", "warning", f"{folder} cannot be looked into", f"chmod u+rX '{folder}'"
    else:
        yield "feeds", "ok", f"pictures are borrowed from {folder}", ""


async def _keys(settings: Settings, home: Home) -> int:
    """How many keys open this house. What is wrong with the database is told elsewhere."""
    from engine.store import keys
    from engine.store.database import Database

    if not settings.store.database.get_secret_value() and not (home.path / "greenroom.db").exists():
        return 0
    try:
        database = await Database.open(settings.database_url)
        try:
            return sum(key.revoked_at is None for key in await database.look(keys.listing))
        finally:
            await database.close()
    except (StoreError, ImportError):
        return 0
