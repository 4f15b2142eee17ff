"""A lorebook: what a persona's world knows, told only when the talk comes near it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Entry(BaseModel):
    """One thing to know, and the words that bring it up. Fields we do not know are kept as they came."""

    model_config = ConfigDict(frozen=True, extra="allow")

    keys: tuple[str, ...] = ()
    content: str = ""
    extensions: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True
    insertion_order: float = 0
    case_sensitive: bool = False
    use_regex: bool = False
    name: str = ""
    priority: float = 0
    id: int | str | None = None
    comment: str = ""
    selective: bool = False
    secondary_keys: tuple[str, ...] = ()
    constant: bool = False
    position: str = "before_char"


class Lorebook(BaseModel):
    """The entries of one persona, and how far back in the talk their keys are looked for."""

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = ""
    description: str = ""
    scan_depth: int | None = None
    token_budget: int | None = None
    recursive_scanning: bool = False
    extensions: dict[str, Any] = Field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
