"""LoRA files on this machine's disk: which lie where, for which model each is, and why one will not do, in words.

It reads the first lines of files and never a weight; how they are put on a model it does not know.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from engine.errors import BadRequest
from engine.locales import Said, say
from engine.models.finding import by_name, inside_of
from engine.pictures.loras_told import key_of
from engine.pictures.sdxl import unpickling
from engine.pictures.sdxl.weight_files import ENDS, PICKLES, header

Base = Literal["sdxl", "sd15", "sd21", "unknown"]
#: How its tensors are called: as kohya's trainer does, as diffusers and peft do, or as the UNet alone calls its own.
Form = Literal["kohya", "diffusers", "plain"]

_KOHYA = ("lora_unet_", "lora_te_", "lora_te1_", "lora_te2_")
_DIFFUSERS = ("unet.", "text_encoder.", "text_encoder_2.")
_PLAIN = (
    "down_blocks.",
    "mid_block.",
    "up_blocks.",
    "conv_in.",
    "conv_out.",
    "time_embedding.",
    "add_embedding.",
)
_SECOND = ("lora_te1_", "lora_te2_", "text_encoder_2.")
_TEXT = ("lora_te", "text_encoder")
#: How the first half of a pair is called, and the second.
_DOWN = re.compile(r"\.lora_down\.weight$|\.lora_A\.weight$|[._]lora(?:_linear_layer)?\.down\.weight$")
_UP = re.compile(r"\.lora_up\.weight$|\.lora_B\.weight$|[._]lora(?:_linear_layer)?\.up\.weight$")
#: Names become patterns in the libraries that load them, and a pattern can take for ever.
_NAME = re.compile(r"[A-Za-z0-9_.]{1,300}")
_PATTERN = re.compile(r"\^?[A-Za-z0-9_.]{1,300}")
_FOREIGN = re.compile(
    r"double_blocks|single_blocks|joint_blocks|single_transformer_blocks|^transformer\.|^diffusion_model\."
    r"|^lora_transformer_|^lora_te3_|^text_encoder_3\."
)
#: The marks of forms that are no plain LoRA, and what these are called.
_OTHER_FORMS = (
    (re.compile(r"\.hada_"), "LoHa"),
    (re.compile(r"\.lokr_"), "LoKr"),
    (re.compile(r"\.b?oft_"), "OFT"),
    (re.compile(r"\.on_input$"), "IA3"),
    (re.compile(r"\.lora_mid\."), "LoCon with a middle part"),
    (re.compile(r"dora_scale|lora_magnitude_vector"), "DoRA"),
    (re.compile(r"^lora_controlnet"), "Control-LoRA"),
    (re.compile(r"\.a1\.weight$"), "GLoRA"),
    (re.compile(r"\.diff(_b)?$"), "whole difference"),
)
_WIDTHS: dict[int, Base] = {2048: "sdxl", 1024: "sd21", 768: "sd15"}
_TEXT_WIDTHS: dict[int, Base] = {1024: "sd21", 768: "sd15"}
_TOLD: tuple[tuple[re.Pattern[str], Base], ...] = (
    (re.compile(r"sdxl|stable-diffusion-xl", re.IGNORECASE), "sdxl"),
    (re.compile(r"sd_v2|stable-diffusion-v2", re.IGNORECASE), "sd21"),
    (re.compile(r"sd_v1|stable-diffusion-v1", re.IGNORECASE), "sd15"),
)
#: No LoRA is of a larger rank, or counts more.
_LARGEST = 4096
#: Settings that say how strongly it counts and where; all others change nothing of what is loaded, or are refused.
_COUNTING = {"r", "lora_alpha"}
_PATTERNS = {"rank_pattern", "alpha_pattern"}
_TARGETS = {"target_modules"}
_IDLE = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "use_rslora",
}
_FIXED = {
    "bias": ("none",),
    "init_lora_weights": (True, "gaussian"),
    "peft_type": ("LORA",),
    "task_type": ("FEATURE_EXTRACTION",),
}


@dataclass(frozen=True)
class FoundLora:
    """One LoRA file on the disk."""

    name: str
    path: Path
    base: Base
    rank: int
    form: Form
    #: How many layers of a model it changes.
    layers: int
    #: Size and time of the file: another one lies there once they differ.
    stamp: tuple[int, int]
    #: A sentence that says why it cannot be used; empty for all that can.
    trouble: str = ""


def find_loras(home: Path, here: Path, *, unusable: bool = False, pickles: bool = False) -> list[FoundLora]:
    """Every LoRA that can be used: in the home's `models/lora/` and its folders, by name, then the same below `here`.

    Of two of one name the first counts. With `unusable`, the others are there as well, and say why they are not used;
    with `pickles`, those can be used that hold nothing but weights.
    """
    found: dict[str, FoundLora] = {}
    spoiled: dict[str, FoundLora] = {}
    seen: set[str] = set()
    for path in _files(home, here):
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            one = look_at(path, pickles=pickles)
        except BadRequest as error:
            nothing = FoundLora(path.stem, path, "unknown", 0, "plain", 0, (0, 0))
            spoiled.setdefault(key_of(path.stem), replace(nothing, trouble=_trouble(error, path)))
        else:
            found.setdefault(key_of(one.name), one)
    return [*found.values(), *(one for key, one in spoiled.items() if unusable and key not in found)]


def look_at(path: Path, *, pickles: bool = False) -> FoundLora:
    """What lies there; `BadRequest` says what it is instead of a LoRA that can be used, and what to do."""
    if not path.is_file():
        raise _wrong(path, "pictures.lora.file.elsewhere")
    is_pickle = path.suffix.casefold() in PICKLES
    if is_pickle and not pickles:
        raise _wrong(path, "pictures.file.pickle")
    if not is_pickle and path.suffix != ".safetensors":
        raise _wrong(path, "pictures.lora.file.other_end")
    stamp = stamp_of(path)
    tensors = unpickling.listing(path) if is_pickle else header(path)
    told = tensors.pop("__metadata__", None)
    about = told if isinstance(told, dict) else {}
    form = _form(path, tensors)
    _check_settings(path, about.get("lora_adapter_metadata"))
    downs = {name: _shape(path, tensors[name]) for name in tensors if _DOWN.search(name)}
    ups = {_UP.sub("", name) for name in tensors if _UP.search(name)}
    if ups != {_DOWN.sub("", name) for name in downs}:
        raise _wrong(path, "pictures.lora.file.unpaired")
    rank = Counter(shape[0] for shape in downs.values()).most_common(1)[0][0]
    return FoundLora(path.stem, path, _base(downs, about), rank, form, len(downs), stamp)


def _wrong(path: Path, key: str, **facts: str) -> BadRequest:
    return BadRequest(say(key, file=str(path), **facts))


def _trouble(error: BadRequest, path: Path) -> str:
    """The same sentence. Who asks for a picture need not know how this machine's folders are called."""
    said = error.args[0]
    if isinstance(said, Said):
        return say(said.key, **dict(said.facts) | {"file": path.name})
    return str(said).replace(str(path), path.name)


def stamp_of(path: Path) -> tuple[int, int]:
    try:
        about = path.stat()
    except OSError as error:
        raise _wrong(path, "pictures.file.unreadable", why=str(error.strerror)) from error
    return about.st_size, about.st_mtime_ns


def _files(home: Path, here: Path) -> Iterator[Path]:
    for root in (home, here):
        top = root / "models" / "lora"
        folders = sorted((one for one in inside_of(top) if one.is_dir()), key=by_name)
        for folder in (top, *folders):
            yield from sorted(
                (one for one in inside_of(folder) if one.suffix.casefold() in ENDS and one.is_file()),
                key=by_name,
            )


def _form(path: Path, tensors: dict[str, Any]) -> Form:
    names = list(tensors)

    def are(*beginnings: str) -> bool:
        return bool(names) and all(name.startswith(beginnings) for name in names)

    for mark, called in _OTHER_FORMS:
        if any(mark.search(name) for name in names):
            raise _wrong(path, "pictures.lora.file.other_form", form=called)
    if not any(_DOWN.search(name) for name in names):
        raise _wrong(path, f"pictures.lora.file.{_instead(names)}")
    if any(_FOREIGN.search(name) for name in names):
        raise _wrong(path, "pictures.lora.file.family")
    if any(name.startswith("base_model.model.") for name in names):
        raise _wrong(path, "pictures.lora.file.peft")
    form: Form | None = "kohya" if are(*_KOHYA) else "diffusers" if are(*_DIFFUSERS) else None
    if form is None and are(*_PLAIN):
        form = "plain"
    halves = [name for name in names if not (form == "kohya" and name.endswith(".alpha"))]
    known = all(_NAME.fullmatch(name) and (_DOWN.search(name) or _UP.search(name)) for name in halves)
    if form is None or not known:
        raise _wrong(path, "pictures.lora.file.names")
    return form


def _instead(names: list[str]) -> str:
    def has(*beginnings: str) -> bool:
        return any(name.startswith(beginnings) for name in names)

    if has("model.diffusion_model.", "first_stage_model."):
        return "model"
    if has("control_model.", "controlnet_"):
        return "controlnet"
    if has("emb_params", "clip_l", "clip_g", "string_to_param"):
        return "embedding"
    return "none"


def _base(downs: dict[str, list[int]], about: dict[str, Any]) -> Base:
    """By what its layers are given; else by what only one model has; else by what its trainer wrote down."""
    for name, shape in downs.items():
        if "attn2" in name and re.search(r"to_[kv]", name) and shape[1] in _WIDTHS:
            return _WIDTHS[shape[1]]
    if any(name.startswith(_SECOND) for name in downs):
        return "sdxl"
    for name, shape in downs.items():
        width = shape[1] if name.startswith(_TEXT) and re.search(r"[qkv]_proj|to_[qkv]", name) else 0
        # In diffusers' form SDXL's first encoder is called as SD 1.5's only one, and is as wide.
        if width in _TEXT_WIDTHS and (width != 768 or name.startswith("lora_te_")):
            return _TEXT_WIDTHS[width]
    said = " ".join(str(about.get(key, "")) for key in ("modelspec.architecture", "ss_base_model_version"))
    return next((base for pattern, base in _TOLD if pattern.search(said)), "unknown")


def _shape(path: Path, tensor: Any) -> list[int]:
    shape = tensor.get("shape") if isinstance(tensor, dict) else None
    if (
        not isinstance(shape, list)
        or len(shape) < 2
        or not all(type(one) is int and one > 0 for one in shape)
    ):
        raise _wrong(path, "pictures.file.list_senseless")
    return shape


def _check_settings(path: Path, told: Any) -> None:
    """What peft wrote down of itself is read again when the file is loaded, and could ask for anything."""
    if told is None:
        return
    try:
        settings = json.loads(told)
        fine = all(_is_fine(str(key).rpartition(".")[2], value) for key, value in settings.items())
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise _wrong(path, "pictures.lora.file.settings_unreadable") from error
    if not fine:
        raise _wrong(path, "pictures.lora.file.settings")


def _is_fine(key: str, value: Any) -> bool:
    if not value or key in _IDLE:
        return True
    if key in _FIXED:
        return value in _FIXED[key]
    if key in _COUNTING:
        return _counts(value)
    if key in _TARGETS:
        return all(isinstance(one, str) and _NAME.fullmatch(one) for one in value)
    if key in _PATTERNS:
        return all(_PATTERN.fullmatch(one) and _counts(number) for one, number in value.items())
    return False


def _counts(value: Any) -> bool:
    return type(value) in (int, float) and 0 < value <= _LARGEST
