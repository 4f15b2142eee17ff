"""The models of this machine: which exist, which are here, which fit, and how they come from the hub.

It knows files, sizes and memory. What a model says, and who loads it, it does not know.
"""

from __future__ import annotations

from engine.models.entries import Catalogue, Entry, Kind, catalogue
from engine.models.finding import Choice, Found, choose, find_text
from engine.models.fitting import Fit, fits, recommended
from engine.models.hardware import Machine, machine, ram_bytes
from engine.models.keeping import Check, Kept, Room, disk, find, installed, remove, verify
from engine.models.pulling import Newer, Progress, newer, pull

__all__ = [
    "Catalogue",
    "Check",
    "Choice",
    "Entry",
    "Fit",
    "Found",
    "Kept",
    "Kind",
    "Machine",
    "Newer",
    "Progress",
    "Room",
    "catalogue",
    "choose",
    "disk",
    "find",
    "find_text",
    "fits",
    "installed",
    "machine",
    "newer",
    "pull",
    "ram_bytes",
    "recommended",
    "remove",
    "verify",
]
