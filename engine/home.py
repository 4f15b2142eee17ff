"""The home: the folder where everything is kept, and the lock that gives it one owner.

Who holds the lock writes down where it listens, with a secret, so that other commands of the same user can be
its clients. Nothing here knows what is said over that line.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_data_path

from engine.errors import HomeInUse, StoreError

SETTINGS_FILE = "greenroom.toml"
#: Whoever looks whether a home has an owner holds its lock for a moment; the next one waits so long, in seconds.
GLANCE = 0.05
#: Bytes of the key that signs the addresses of our own files.
LINK_KEY = 32


def home_folder() -> Path:
    """`GREENROOM_HOME`, else `data/home` in a clone, else the platform's folder for a program's data."""
    named = os.environ.get("GREENROOM_HOME")
    if named:
        return Path(named).expanduser().absolute()
    clone = Path(__file__).parent.parent
    if (clone / "pyproject.toml").is_file() and (clone / "data").is_dir():
        return clone / "data" / "home"
    return user_data_path("greenroom")


@dataclass(frozen=True)
class Address:
    """Where the owner of a home listens, and the word that opens its door."""

    pid: int
    url: str
    secret: str


class Home:
    """One folder. `own()` makes this process its owner for as long as the block lasts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path / "owner.json"
        #: Whether it is ours alone just now.
        self.owned = False

    @property
    def files(self) -> Path:
        return self.path / "files"

    @property
    def outgoing(self) -> Path:
        """Files that wait for the bucket which keeps them."""
        return self.path / "outgoing"

    @property
    def thumbs(self) -> Path:
        """Small copies of pictures, which can be made anew."""
        return self.path / "cache" / "thumbs"

    @property
    def log(self) -> Path:
        return self.path / "log" / "greenroom.log"

    def prepare(self) -> None:
        """Make the folder; it holds what people said, so nobody else may look in."""
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            probe = self.path / f".write-{os.getpid()}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"The home {self.path} cannot be used: {error.strerror}. Name another with GREENROOM_HOME."
            ) from None

    @property
    def is_open_to_others(self) -> bool:
        """Whether other users of this machine may look in: a folder that was there before is left as it was."""
        return os.name == "posix" and bool(self.path.stat().st_mode & 0o077)

    @contextmanager
    def own(self) -> Iterator[None]:
        self.prepare()
        # The system lets go of this lock when the process ends, however it ends.
        lock = FileLock(self.path / "owner.lock", timeout=0)
        try:
            lock.acquire(timeout=GLANCE, poll_interval=GLANCE / 10)
        except Timeout:
            owner = self._read_note()
            where = f" at {owner.url} (process {owner.pid})" if owner else ""
            raise HomeInUse(
                f"Greenroom is already running on {self.path}{where}. Stop it first, or use its commands: "
                "they find it by themselves.",
                pid=owner.pid if owner else 0,
                address=owner.url if owner else "",
            ) from None
        try:
            # A killed owner's note: from here on it would be taken for ours.
            self._note.unlink(missing_ok=True)
            self.owned = True
            yield
        finally:
            self.owned = False
            self._note.unlink(missing_ok=True)
            lock.release()

    def announce(self, url: str) -> Address:
        """Write down where the owner listens. Only the user who started it can read the secret."""
        address = Address(pid=os.getpid(), url=url, secret=secrets.token_urlsafe(32))
        try:
            _write_for_us_alone(self._note, json.dumps(address.__dict__).encode())
        except OSError as error:
            raise StoreError(f"The note {self._note} cannot be written: {error.strerror}.") from None
        return address

    def link_key(self) -> bytes:
        """What signs the addresses of our own files. Made when it is first needed, it stays, and so do the links."""
        file = self.path / "links.key"
        try:
            with suppress(FileNotFoundError):
                if len(kept := file.read_bytes()) == LINK_KEY:
                    return kept
            made = secrets.token_bytes(LINK_KEY)
            _write_for_us_alone(file, made)
        except OSError as error:
            raise StoreError(f"The key {file} cannot be kept: {error.strerror}.") from None
        return made

    def mark(self) -> str:
        """A few letters by which this home is known among others, which tell nothing of it."""
        return hashlib.sha256(b"mark" + self.link_key()).hexdigest()[:8]

    @property
    def _password(self) -> Path:
        return self.path / "password"

    def password_hash(self) -> str:
        """What is kept of the page's password; empty where there is none."""
        try:
            return self._password.read_text(encoding="ascii").strip() or "unreadable"
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError):
            # There is one, and nobody can show it: that keeps the door shut.
            return "unreadable"

    def keep_password_hash(self, told: str) -> None:
        """An empty one takes the password away."""
        try:
            if told:
                _write_for_us_alone(self._password, told.encode("ascii"))
            else:
                self._password.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"The password {self._password} cannot be changed: {error.strerror}.") from None

    def owner(self) -> Address | None:
        """Who owns this home now; a note left behind by a killed process is not believed."""
        if not self.path.is_dir():
            return None
        lock = FileLock(self.path / "owner.lock", timeout=0)
        try:
            with lock.acquire(timeout=GLANCE, poll_interval=GLANCE / 10):
                return None
        except Timeout:
            return self._read_note()
        except OSError:
            return None

    def _read_note(self) -> Address | None:
        try:
            told = json.loads(self._note.read_text())
            return Address(pid=int(told["pid"]), url=str(told["url"]), secret=str(told["secret"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _write_for_us_alone(path: Path, data: bytes) -> None:
    """All of it or nothing, and only the user who started us can read it."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
    draft.replace(path)
