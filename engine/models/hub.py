"""The hub as it is spoken to: what a repository holds, and its files, piece by piece, going on where a part ends.

The only file that fetches models. It follows the hub's customs, as other programs do: `HF_ENDPOINT`, `HF_TOKEN`
and the token of a login, `HF_HUB_OFFLINE`. Nothing is told to the hub but what is wanted.

The hub's library is not used: since its second version it throws a part away when it ends, and compares sizes, not
fingerprints.
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import quote, urlsplit

from engine.errors import GreenroomError, NotFound, Refused, SettingsError, TryAgain
from engine.locales import say
from engine.models.promised import Fingerprint, HubFile, Listing, size_of

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"
#: So often in a row nothing may come before it is given up.
TRIES = 5
#: A hub that wants a longer pause is asked another time, by a person.
LONGEST_PAUSE = 60.0
_CONNECT, _READ = 10.0, 30.0


class PullFailed(GreenroomError):
    """A model could not be fetched, and the same again would not help by itself."""


def endpoint() -> str:
    named = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB
    try:
        parts = urlsplit(named)
        told = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets, or a port that is none
        told = False
    if not told:
        raise SettingsError("HF_ENDPOINT is not an address: it is to look like https://hub.example.")
    return named


def stored_token() -> str:
    """The token of this machine: the environment's, or that of a login with the hub's own program."""
    told = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN") or ""
    if told.strip():
        return told.strip()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    home = Path(os.environ.get("HF_HOME") or cache / "huggingface").expanduser()
    try:
        return Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser().read_text().strip()
    except (OSError, UnicodeDecodeError, RuntimeError):
        return ""


class _Part:
    """A file that is not whole yet. What came is on the disk at once, so that even a kill costs nothing."""

    def __init__(self, path: Path, promised: HubFile) -> None:
        self._promised = promised
        self.fingerprint = Fingerprint(promised)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("ab", buffering=0)
        self.size = 0

    async def go_on(self) -> None:
        """Take in what an earlier pull left, unless it cannot be of this file."""
        size = size_of(self._path)
        if size > self._promised.size:
            self.start_over()
        elif size:
            await self.fingerprint.read(self._path)
            self.size = size

    def write(self, block: bytes) -> None:
        left = memoryview(block)
        while left:
            left = left[self._file.write(left) :]
        self.fingerprint.update(block)
        self.size += len(block)

    def start_over(self) -> None:
        self._file.truncate(0)
        self.fingerprint = Fingerprint(self._promised)
        self.size = 0

    def throw_away(self) -> None:
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        self._file.close()


class _Pause(Exception):
    """The hub has no answer now; `seconds` is what it asked for, or None."""

    def __init__(self, sentence: str, seconds: float | None) -> None:
        super().__init__(sentence)
        self.seconds = seconds


class Hub:
    """A line to the hub, open for a block. `pause` is the first wait between two tries; each next one is doubled."""

    def __init__(self, token: str = "", *, pause: float = 1.0) -> None:
        self._token = token or stored_token()
        self._pause = pause
        self._url = endpoint()

    async def __aenter__(self) -> Self:
        import httpx

        if os.environ.get("HF_HUB_OFFLINE", "").casefold() in ("1", "on", "yes", "true"):
            raise PullFailed("HF_HUB_OFFLINE says that the hub is not to be asked. Unset it to fetch models.")
        headers = {"User-Agent": "greenroom", "Accept-Encoding": "identity"}
        if self._token:
            if not (self._token.isascii() and self._token.isprintable()):
                raise Refused("The hub's token has characters that no token has. Copy it anew.")
            headers["Authorization"] = f"Bearer {self._token}"
        # Across hosts, as from the hub to its stores, httpx leaves the token away.
        self._client = httpx.AsyncClient(
            headers=headers, follow_redirects=True, timeout=httpx.Timeout(_READ, connect=_CONNECT)
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def listing(
        self, repo: str, revision: str = "main", told: Callable[[str], None] | None = None
    ) -> Listing:
        """What a repository holds now. One that cannot be reached at all is not tried again: somebody waits."""
        import httpx

        tries = 0
        while True:
            try:
                answer = await self._client.get(
                    f"{self._url}/api/models/{repo}/revision/{quote(revision, safe='')}",
                    params={"blobs": "true"},
                )
                self._look_at(answer, repo)
                return _listing(answer.json())
            except _Pause as wanted:
                tries += 1
                await self._wait(wanted, tries, told)
            except (ValueError, KeyError, TypeError):
                raise PullFailed(
                    f"{self._url} does not answer as a model hub does. Is HF_ENDPOINT right, or a proxy between?"
                ) from None
            except httpx.RequestError as error:
                raise self._unreachable(error) from None

    async def fetch(
        self, repo: str, revision: str, file: HubFile, path: Path, told: Callable[[int, str], None]
    ) -> Fingerprint:
        """Bring the part at `path` to its full size, and compare. `told` hears how much there is, and of pauses.

        A part that turns out to be something else is thrown away: going on with it would never end well.
        """
        try:
            with closing(_Part(path, file)) as part:
                await part.go_on()
                await self._complete(repo, revision, file, part, told)
        except OSError as error:
            raise _disk_trouble(error, path) from None
        if not part.fingerprint.is_as_promised():
            part.throw_away()
            raise PullFailed(
                f"{file.name} came with another fingerprint than {self._url} promised, so it was thrown away. "
                "Pull again; if it happens again, something between here and the hub changes files: a proxy, or a "
                "mirror in HF_ENDPOINT."
            )
        return part.fingerprint

    async def _complete(
        self, repo: str, revision: str, file: HubFile, part: _Part, told: Callable[[int, str], None]
    ) -> None:
        import httpx

        told(part.size, "")
        tries = 0
        while part.size < file.size:
            before = part.size
            try:
                await self._stream(repo, revision, file, part, told)
                problem: Exception = httpx.ReadError("the hub stopped early")
            except _Pause as error:
                problem = error
            except httpx.RequestError as error:
                problem = error
            if part.size >= file.size:
                return
            tries = 1 if part.size > before else tries + 1
            pause = problem if isinstance(problem, _Pause) else _Pause(self._cut(file, problem), None)
            await self._wait(pause, tries, lambda note: told(part.size, note))

    async def _stream(
        self, repo: str, revision: str, file: HubFile, part: _Part, told: Callable[[int, str], None]
    ) -> None:
        url = f"{self._url}/{repo}/resolve/{revision}/{quote(file.name)}"
        headers = {"Range": f"bytes={part.size}-"} if part.size else {}
        async with self._client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 416:
                part.start_over()
                return
            if answer.is_error:
                await answer.aread()
            self._look_at(answer, repo, file.name)
            if part.size and not _goes_on_at(answer, part.size):
                part.start_over()
            async for block in answer.aiter_raw():
                if part.size + len(block) > file.size:
                    part.start_over()
                    raise PullFailed(
                        f"{file.name} is longer than {self._url} promised. What came was thrown away; pull again "
                        "later."
                    )
                part.write(block)
                told(part.size, "")

    async def _wait(self, wanted: _Pause, tries: int, told: Callable[[str], None] | None) -> None:
        seconds = self._pause * 2 ** (tries - 1) if wanted.seconds is None else wanted.seconds
        if tries >= TRIES or seconds > LONGEST_PAUSE:
            when = f"in {seconds:.0f} seconds" if seconds > LONGEST_PAUSE else "later"
            raise TryAgain(
                f"{wanted} Pull again {when}: it goes on where it ended.",
                after_s=max(1.0, seconds),
            ) from None
        if told is not None:
            told(f"{wanted} Going on in {seconds:.0f} s." if seconds >= 1 else f"{wanted} Going on.")
        await asyncio.sleep(seconds)

    def _look_at(self, answer: httpx.Response, repo: str, file: str = "") -> None:
        """Raise what an answer means, if it is not the thing that was asked for."""
        status, says = answer.status_code, answer.headers.get("X-Error-Code", "")
        if status < 400:
            return
        page, tokens = f"{self._url}/{repo}", f"{self._url}/settings/tokens"
        if says == "GatedRepo" or status == 403:
            where = {"repo": repo, "page": page, "tokens": tokens}
            if self._token:
                raise Refused(say("models.pull.licence_of_another", **where))
            raise Refused(say("models.pull.licence", **where))
        if status == 401 and says != "RepoNotFound":
            where = {"hub": self._url, "repo": repo, "tokens": tokens}
            if self._token:
                raise Refused(say("models.pull.other_token", **where))
            raise Refused(say("models.pull.token", **where))
        if status in (401, 404, 410):
            what = say("models.pull.file_in", file=file, repo=repo) if file else repo
            if self._token:
                raise NotFound(say("models.pull.not_there_for_token", what=what, hub=self._url, page=page))
            raise NotFound(say("models.pull.not_there", what=what, hub=self._url, page=page))
        if status == 429:
            more = "" if self._token else " With a token in HF_TOKEN it is more patient."
            raise _Pause(f"{self._url} has had too many requests from here.{more}", _asked_for(answer))
        if status >= 500 or status == 408:
            raise _Pause(f"{self._url} has trouble of its own ({status}).", _asked_for(answer))
        refused = {"hub": self._url, "what": file or repo, "status": str(status), "page": page}
        raise PullFailed(say("models.pull.refused", **refused))

    def _unreachable(self, error: Exception) -> TryAgain:
        if str(error):
            return TryAgain(say("models.pull.unreachable_because", hub=self._url, why=str(error)))
        return TryAgain(say("models.pull.unreachable", hub=self._url))

    def _cut(self, file: HubFile, error: Exception) -> str:
        said = f" ({error})" if str(error) else ""
        return f"The line to {self._url} was cut in the middle of {file.name}{said}."


def _listing(told: dict[str, object]) -> Listing:
    siblings = told["siblings"]
    if not isinstance(siblings, list):
        raise TypeError
    files = []
    for one in siblings:
        lfs = one.get("lfs") or {}
        size = lfs.get("size", one.get("size"))
        if size is None:
            raise KeyError("size")
        files.append(
            HubFile(
                str(one["rfilename"]), int(size), str(lfs.get("sha256", "")), str(one.get("blobId") or "")
            )
        )
    revision = str(told["sha"])
    if not re.fullmatch(r"[0-9a-f]{7,64}", revision):
        raise ValueError
    return Listing(revision, tuple(files))


def _goes_on_at(answer: httpx.Response, start: int) -> bool:
    """Whether the bytes that come are those after the part: a store may ignore the wish, and begin anew."""
    return answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _asked_for(answer: httpx.Response) -> float | None:
    """How long to wait, as the answer says in one of the two ways."""
    after = answer.headers.get("Retry-After", "").strip()
    if after.isdigit():
        return float(after)
    reset = re.search(r"\bt=(\d+)", answer.headers.get("RateLimit", ""))
    return float(reset[1]) if reset else None


def _disk_trouble(error: OSError, path: Path) -> GreenroomError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PullFailed(say("models.pull.disk_full", folder=path.parent))
    return PullFailed(say("models.pull.not_written", path=path, why=error.strerror or error))
