"""What happens between a person and a persona. The names below are the engine's public surface.

They are looked up when first used, so that importing one part does not import them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_WHERE = {
    "ChatRef": "engine.store.records",
    "Account": "engine.store.records",
    "Engine": "engine.engine",
    "GreenroomError": "engine.errors",
    "Home": "engine.home",
    "Incoming": "engine.store.records",
    "MessageRef": "engine.store.records",
    "Settings": "engine.settings",
    "Wish": "engine.imagining",
    "read_settings": "engine.settings_file",
}

__all__ = [
    "Account",
    "ChatRef",
    "Engine",
    "GreenroomError",
    "Home",
    "Incoming",
    "MessageRef",
    "Settings",
    "Wish",
    "read_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'engine' has no attribute {name!r}")
    return getattr(import_module(_WHERE[name]), name)
