"""Weights in pickles, where the operator allows these: read by torch's reader of weights, which runs nothing, and by
no other. A pickle that holds anything else is refused. What the weights are for it does not know.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

from engine.errors import BadRequest
from engine.locales import say

if TYPE_CHECKING:
    from torch import Tensor

#: So many lists are remembered: a disk is looked at again and again, and seldom has more.
KEPT = 256
#: As torch says that something else than weights is in it. All of it is refused before anything of it is called.
_MORE = ("global", "class", "reduce", "newobj")
#: So often what is wrapped is unwrapped: a dictionary can hold itself.
_WRAPPED = 3


def weights(path: Path) -> dict[str, Tensor]:
    """The tensors in it by their names; `BadRequest` where it is no pickle of weights alone."""
    return _opened(path, "cpu")


def check(path: Path) -> None:
    """`BadRequest` says why it is not to be opened by anybody."""
    _opened(path, "meta")


def listing(path: Path) -> dict[str, Any]:
    """What it holds, as the list of a .safetensors file tells it. Of the weights themselves nothing is read."""
    try:
        about = path.stat()
    except OSError as error:
        why = str(error.strerror)
        raise BadRequest(say("pictures.file.unreadable", file=str(path), why=why)) from error
    shapes = _shapes(path, about.st_size, about.st_mtime_ns)
    return {name: {"shape": list(shape)} for name, shape in shapes.items()}


@lru_cache(KEPT)
def _shapes(path: Path, _size: int, _changed: int) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in _opened(path, "meta").items()}


def _opened(path: Path, device: str) -> dict[str, Tensor]:
    import torch

    refused = str(path)
    try:
        with warnings.catch_warnings():
            # What torch would rather be given is nothing that whoever reads the log can change.
            warnings.simplefilter("ignore")
            held = torch.load(path, map_location=device, weights_only=True)
    except OSError as error:
        why = str(error.strerror)
        raise BadRequest(say("pictures.file.unreadable", file=refused, why=why)) from error
    except Exception as error:  # it is a machine that the file programs: it can stumble in any way
        # Around it torch says how the file could be opened all the same.
        said = str(error.__context__ or error).casefold()
        if isinstance(error, UnpicklingError) and any(mark in said for mark in _MORE):
            raise BadRequest(say("pictures.file.pickle_of_more", file=refused)) from error
        raise BadRequest(say("pictures.file.pickle_unreadable", file=refused)) from error
    for _ in range(_WRAPPED):
        if isinstance(held, dict) and isinstance(held.get("state_dict"), dict):
            held = held["state_dict"]
    named = held.items() if isinstance(held, dict) else ()
    tensors = {
        name: one
        for name, one in named
        if isinstance(name, str) and isinstance(one, torch.Tensor) and one.layout is torch.strided
    }
    if not tensors:
        raise BadRequest(say("pictures.file.pickle_unreadable", file=refused))
    return tensors
