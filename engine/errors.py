"""Everything that can go wrong, as a tree. Each message is a sentence for a person, with what to do next.

GreenroomError
├── SettingsError          the settings file or the environment
├── HomeInUse              another process owns the home
├── StoreError             the database: damaged, newer than this program, read-only, full
├── NotFound               no such persona, job, picture, chat
├── Refused                understood, and not allowed
│   ├── OverLimit          too much, too fast; says when it is free again
│   └── Unsuitable         safety: rating or block list
├── BadRequest             not understood: empty, too long, out of range
│   └── Conflict           somebody was quicker, or a key stands for something else
├── ModelUnavailable       no model can answer now; the understudy steps in
├── RenderFailed           a picture could not be made
│   └── PictureFailed      this one, as it was asked for; others can
├── Stopped                somebody asked for it to stop
├── TryAgain               passing trouble: the queue hands the job out again
└── DeliveryFailed         a front could not show something
    └── NotReachable       nobody is there now; kept until somebody is
"""

from __future__ import annotations

from datetime import datetime


class GreenroomError(Exception):
    """Any failure of ours. `str(error)` may be shown to a person."""

    @property
    def sentence(self) -> str:
        """The same as it was raised: a sentence of the house's can still be said in other languages."""
        told = self.args[0] if self.args else ""
        return told if isinstance(told, str) else str(self)


class SettingsError(GreenroomError):
    """The settings cannot be used; the message names the key and the line."""


class HomeInUse(GreenroomError):
    """Another Greenroom runs on this home."""

    def __init__(self, message: str, *, pid: int = 0, address: str = "") -> None:
        super().__init__(message)
        self.pid = pid
        self.address = address


class StoreError(GreenroomError):
    """The database, or the place where files are kept, cannot be used as it is."""


class NotFound(GreenroomError):
    """What was named is not there."""


class Refused(GreenroomError):
    """Understood, and not allowed."""


class OverLimit(Refused):
    """A quota is used up until `free_at`."""

    def __init__(self, message: str, *, free_at: datetime) -> None:
        super().__init__(message)
        self.free_at = free_at


class Unsuitable(Refused):
    """Words or wishes that the place, the persona or the operator does not allow."""


class BadRequest(GreenroomError):
    """Not understood: empty, too long, out of range, or not a thing we know."""


class Conflict(BadRequest):
    """Somebody else has changed it meanwhile, or has ordered something else under its key: look again first."""


class ModelUnavailable(GreenroomError):
    """No language model can answer now."""


class RenderFailed(GreenroomError):
    """A picture could not be made; the message says why and what to try."""


class PictureFailed(RenderFailed):
    """This picture could not be made as it was asked for. Nothing is wrong with what makes others."""


class Stopped(GreenroomError):
    """Ended because somebody asked for it."""


class TryAgain(GreenroomError):
    """Passing trouble: the job goes back in line and is tried again after `after_s` seconds."""

    def __init__(self, message: str, *, after_s: float = 1.0) -> None:
        super().__init__(message)
        self.after_s = after_s


class DeliveryFailed(GreenroomError):
    """A front could not show something, and trying again will not help."""


class NotReachable(DeliveryFailed):
    """Nobody is there to show it to; it is kept until somebody is."""
