"""Which LoRA on the disk a name means, and what is said of one that is not there or will not do.

How it is put on a model it does not know.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from engine.errors import BadRequest
from engine.locales import Said, say
from engine.pictures import Lora
from engine.pictures.loras_told import LONGEST_NAME, MOST_LORAS, MOST_WEIGHT, key_of, settled
from engine.pictures.sdxl.finding import CALLED, Kind
from engine.pictures.sdxl.loras_found import FoundLora, stamp_of
from engine.pictures.sdxl.weight_files import ENDS

#: So many names are told to a person who named one that is not there.
NAMED = 8
#: From this likeness on one name is near another, of 1.
NEAR = 0.5
_BOUNDS = {"least": f"{-MOST_WEIGHT:g}", "most": f"{MOST_WEIGHT:g}"}


class Rack:
    """The LoRAs for one kind of model, as they were found last."""

    def __init__(self, found: Callable[[], list[FoundLora]], kind: Kind) -> None:
        self._found = found
        self._kind = kind
        #: By their names.
        self._known: dict[str, FoundLora] = {}

    def check(self, wanted: Sequence[Lora]) -> None:
        """`BadRequest` says what is wrong with one of them, or with all together."""
        for one in sound(wanted):
            self.named(one.name)

    def named(self, name: str) -> FoundLora:
        """Looked up on the disk only where it is not known, or another file lies there by now."""
        key = _without_its_end(key_of(name))
        known = self._known.get(key)
        if known is None or not _is_as_known(known):
            self._known = {key_of(one.name): one for one in self._found()}
            known = self._known.get(key)
        if known is None:
            name = name[:LONGEST_NAME]
            raise BadRequest(say("pictures.lora.unknown", name=name, there=self.there(key)))
        if known.trouble:
            raise BadRequest(say("pictures.lora.unusable", why=known.trouble, there=self.there(key)))
        if known.base != "unknown" and known.base != self._kind:
            base, here = CALLED[known.base], CALLED[self._kind]
            told = say(
                "pictures.lora.other_base", name=known.name, base=base, here=here, there=self.there(key)
            )
            raise BadRequest(told)
        return known

    def there(self, near: str = "") -> Said:
        """Those that will do, the ones whose names are like that first."""
        bases = (self._kind, "unknown")
        names = {key: one.name for key, one in self._known.items() if not one.trouble and one.base in bases}
        if not names:
            return say("pictures.lora.nowhere", kind=CALLED[self._kind], places=say("pictures.lora.places"))
        like = get_close_matches(near, names, NAMED, NEAR) if near else []
        told = [names[key] for key in dict.fromkeys([*like, *names])]
        if len(told) > NAMED:
            return say("pictures.lora.there_and_more", names=", ".join(told[:NAMED]), n=len(told) - NAMED)
        return say("pictures.lora.there", names=", ".join(told))


def sound(wanted: Sequence[Lora]) -> tuple[Lora, ...]:
    """Those that change a picture; `BadRequest` where they are too many, or a weight is no number."""
    broken = next((one for one in wanted if not math.isfinite(one.weight)), None)
    if broken is not None:
        raise BadRequest(say("pictures.lora.weight", name=broken.name, **_BOUNDS))
    these = settled(wanted)
    if len(these) > MOST_LORAS:
        raise BadRequest(say("pictures.lora.too_many", n=len(these), most=MOST_LORAS))
    return these


def as_told(named: Sequence[Lora]) -> None:
    """`BadRequest` where somebody gave one more weight than any is worn with: another picture than was asked for."""
    for one in named:
        if abs(one.weight) > MOST_WEIGHT:
            name, weight = one.name[:LONGEST_NAME], f"{one.weight:g}"
            raise BadRequest(say("pictures.lora.heavy", name=name, weight=weight, **_BOUNDS))


def _without_its_end(key: str) -> str:
    """Some name the file."""
    return next((key.removesuffix(end) for end in ENDS if key.endswith(end)), key)


def _is_as_known(known: FoundLora) -> bool:
    """What could not be used may have been replaced meanwhile."""
    try:
        return not known.trouble and stamp_of(known.path) == known.stamp
    except BadRequest:
        return False
