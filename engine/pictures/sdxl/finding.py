"""Picture models on this machine's disk: which lie where, of what kind each is, and why one will not do, in words.

It reads the first lines of files and never a weight; what is run with them it does not know.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from engine.errors import BadRequest
from engine.locales import say
from engine.models.finding import as_path, by_name, inside_of, there, where_it_is
from engine.pictures.sdxl import unpickling
from engine.pictures.sdxl.weight_files import ENDS, PICKLES, WEIGHTS, header, refused_pickle

Kind = Literal["sdxl", "refiner", "sd15", "sd21"]
#: Models that were taught to be done in a few steps, each in a way of its own; empty: it takes its time.
FewStep = Literal["", "turbo", "lightning", "hyper", "lcm"]

#: As people know the kinds.
CALLED: dict[Kind, str] = {
    "sdxl": "SDXL",
    "refiner": "the SDXL refiner",
    "sd15": "Stable Diffusion 1.5",
    "sd21": "Stable Diffusion 2.1",
}
_SAMPLE = 1 << 20
_LORA = ("lora_up", "lora_down", "lora_A", "lora_B", ".lora.", "hada_w1", "lokr_w1", "dora_scale")
_CLASSES: dict[str, Kind] = {
    "StableDiffusionXLPipeline": "sdxl",
    "StableDiffusionXLImg2ImgPipeline": "refiner",
    "StableDiffusionPipeline": "sd15",
    "LatentConsistencyModelPipeline": "sd15",
}
_NEEDED = ("unet", "vae", "text_encoder", "text_encoder_2")
_NAMES: tuple[tuple[FewStep, re.Pattern[str]], ...] = (
    ("lightning", re.compile(r"lightning", re.IGNORECASE)),
    ("hyper", re.compile(r"hyper[-_ ]?(sd|\d|$)", re.IGNORECASE)),
    ("lcm", re.compile(r"(?<![a-z])lcm(?![a-z])", re.IGNORECASE)),
    ("turbo", re.compile(r"turbo", re.IGNORECASE)),
)


@dataclass(frozen=True)
class Found:
    """One picture model on the disk: a folder as diffusers writes it, or a single file."""

    path: Path
    kind: Kind
    name: str
    few_step: FewStep
    #: A sentence that says where it was found.
    reason: str
    #: A single file holds no settings and no tokenizer: the folder beside it that does.
    config: Path | None = None
    #: Some of its weights lie in pickles, which the operator allows.
    pickled: bool = False

    @property
    def single(self) -> bool:
        return self.path.suffix.casefold() in (".safetensors", *PICKLES)


@dataclass(frozen=True)
class Choice:
    """Which model paints, and what refines after it; `reason` is a sentence for a person either way."""

    found: Found | None
    refiner: Found | None
    reason: str


def find_pictures(home: Path, here: Path, named: str = "", *, pickles: bool = False) -> list[Found]:
    """Every picture model that can be used, in this order, and by name within one folder:

    the one that `named` is the path of; what is in the home's `models/picture/`, then in its folders, then what is in
    `models/refiner/`, where refiners are fetched to; the same below `here`. One model that can be reached on several
    ways counts where it is met first. With `pickles`, those count that hold nothing but weights.
    """
    found: list[Found] = []
    seen: set[str] = set()
    for path, where in _places(home, here, named, ENDS if pickles else WEIGHTS):
        real = os.path.realpath(path)
        if real in seen:
            continue
        try:
            found.append(look(path, where, pickles=pickles))
        except BadRequest:
            continue  # `look` says why, to whoever asks for this one
        seen.add(real)
    return found


def choose(
    found: Sequence[Found], named: str = "", here: Path | None = None, *, pickles: bool = False
) -> Choice:
    """The model to load, and its refiner if there is one. `named` is a path, a file's or a folder's name."""
    refiner = next((one for one in found if one.kind == "refiner"), None)
    paints = [one for one in found if one.kind != "refiner"]
    if not named:
        if not paints:
            places = say("models.pictures.places")
            if refiner:
                return Choice(None, None, say("models.pictures.none_but_refiner", places=places))
            return Choice(None, None, say("models.pictures.none", places=places))
        first = paints[0]
        why = say("models.pictures.first", name=first.name, where=first.reason)
        return Choice(first, _for(first, refiner), why)
    wanted = named.strip().casefold()
    path = as_path(named, here or Path.cwd())
    for one in paints:
        if wanted in {one.name.casefold(), one.path.name.casefold()} or _same(path, one.path):
            return _named(one, refiner)
    if path is not None:
        try:
            one = look(path, say("models.where.settings"), pickles=pickles)
        except BadRequest as error:
            return Choice(None, None, error.args[0])
        if one.kind != "refiner":
            return _named(one, refiner)
        return Choice(None, None, say("models.pictures.refiner", path=path))
    facts = {"places": say("models.pictures.places"), "there": there(one.name for one in paints)}
    return Choice(None, None, say("models.pictures.absent", name=named, **facts))


def _named(found: Found, refiner: Found | None) -> Choice:
    why = say("models.pictures.named", name=found.name, where=found.reason)
    return Choice(found, _for(found, refiner), why)


def look(path: Path, where: str = "", *, pickles: bool = False) -> Found:
    """What lies there; `BadRequest` says what it is instead of a picture model, and what to do."""
    if path.is_dir():
        if (path / "model_index.json").is_file():
            return _folder(path, where, pickles)
        files = _weights(path) or (_weights(path, PICKLES) if pickles else [])
        if len(files) == 1:
            return look(files[0], where, pickles=pickles)
        if files:
            raise BadRequest(say("models.pictures.wrong.several", path=path, count=len(files)))
        raise BadRequest(say("models.pictures.wrong.none", path=path))
    if not path.is_file():
        raise BadRequest(say("models.pictures.wrong.absent", path=path))
    is_pickle = path.suffix.casefold() in PICKLES
    if is_pickle and not pickles:
        raise BadRequest(refused_pickle(path))
    if not is_pickle and path.suffix.casefold() != ".safetensors":
        raise BadRequest(say("models.pictures.wrong.no_model", path=path))
    kind = _kind_of_file(path, unpickling.listing(path) if is_pickle else header(path))
    few = _few_step(path.stem, {}, {})
    return Found(path, kind, path.stem, few, where, _config_beside(path, kind), is_pickle)


def fingerprint(found: Found) -> str:
    """Twelve characters that change with the weights. Samples are read, so that it takes no minute."""
    digest = hashlib.sha256()
    for path in _files(found):
        size = path.stat().st_size
        digest.update(
            f"{path.name if found.single else path.relative_to(found.path).as_posix()} {size}\n".encode()
        )
        with path.open("rb") as file:
            for at in sorted({0, size // 3, size * 2 // 3, max(0, size - _SAMPLE)}):
                file.seek(at)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:12]


def weight_bytes(found: Found) -> int:
    """About what its weights take in memory: what they take on the disk, in 16 bit where they lie there so, too."""
    files = _files(found)
    halved = [file for file in files if ".fp16." in file.name]
    return sum(file.stat().st_size for file in halved or files)


def _files(found: Found) -> list[Path]:
    """All that holds weights of it."""
    if found.single:
        return [found.path]
    ends = ENDS if found.pickled else WEIGHTS
    return sorted(one for one in found.path.rglob("*") if one.suffix.casefold() in ends and one.is_file())


def pickles_of(found: Found) -> list[Path]:
    """Those that it is opened with: where a .safetensors file lies beside one, that is taken."""
    files = _files(found) if found.pickled else []
    safe = {one.parent for one in files if one.suffix.casefold() in WEIGHTS}
    opened = [one for one in files if one.suffix.casefold() in PICKLES]
    return opened if found.single else [one for one in opened if one.parent not in safe]


def _places(home: Path, here: Path, named: str, ends: Sequence[str]) -> Iterator[tuple[Path, str]]:
    if named and (path := as_path(named, here)) is not None:
        yield from ((one, say("models.where.settings")) for one in _models(path, ends))
    for root in (home, here):
        for kind in ("picture", "refiner"):
            top = root / "models" / kind
            for file in _weights(top, ends):
                yield file, where_it_is(f"models/{kind}", at_home=root is home)
            for folder in sorted((one for one in inside_of(top) if one.is_dir()), key=by_name):
                where = where_it_is(f"models/{kind}/{folder.name}", at_home=root is home)
                yield from ((one, where) for one in _models(folder, ends))


def _models(path: Path, ends: Sequence[str]) -> list[Path]:
    """A folder of diffusers is one model, unless it is there only to lend its settings to the files in it."""
    if not path.is_dir():
        return [path]
    whole = (path / "model_index.json").is_file() and _weights(path / "unet", ends)
    return [path] if whole else (_weights(path, ends) or [path])


def _folder(path: Path, where: str, pickles: bool) -> Found:
    index, unet = _settings(path / "model_index.json"), _settings(path / "unet" / "config.json")
    called = str(index.get("_class_name", "nothing"))
    kind = _CLASSES.get(called)
    if kind is None:
        raise BadRequest(say("models.pictures.wrong.made_for", path=path, what=called))
    if unet.get("in_channels", 4) != 4:
        raise BadRequest(say("models.pictures.wrong.inpainting", path=path))
    if kind == "sd15" and unet.get("cross_attention_dim") == 1024:
        kind = "sd21"
    opened = False
    for part in _NEEDED:
        if index.get(part, [None])[0] is None:
            continue  # a refiner has only the second text encoder
        files, unsafe = _weights(path / part), _weights(path / part, PICKLES)
        if not files and not unsafe:
            raise BadRequest(say("models.pictures.wrong.no_weights", path=path / part))
        if not files and not pickles:
            raise BadRequest(refused_pickle(unsafe[0]))
        for file in files:
            header(file)
        for file in [] if files else unsafe:
            unpickling.listing(file)
            opened = True
    planned = _settings(path / "scheduler" / "scheduler_config.json")
    few = _few_step(path.resolve().name, planned, unet)
    return Found(path, kind, path.resolve().name, few, where, pickled=opened)


def _few_step(name: str, planned: dict[str, Any], unet: dict[str, Any]) -> FewStep:
    """By its name; else by what its scheduler was set to, since nobody sets these for a model that takes its time."""
    for few, pattern in _NAMES:
        if pattern.search(name):
            return few
    called, spacing = planned.get("_class_name"), planned.get("timestep_spacing")
    if called == "LCMScheduler" or unet.get("time_cond_proj_dim") is not None:
        return "lcm"
    if called == "TCDScheduler":
        return "hyper"
    if spacing != "trailing":
        return ""
    if called == "EulerAncestralDiscreteScheduler":
        return "turbo"
    return "lightning" if called == "EulerDiscreteScheduler" else ""


def _kind_of_file(path: Path, tensors: dict[str, Any]) -> Kind:
    names = [name for name in tensors if name != "__metadata__"]

    def has(*beginnings: str) -> bool:
        return any(name.startswith(beginnings) for name in names)

    if any(mark in name for name in names for mark in _LORA):
        raise BadRequest(say("models.pictures.wrong.lora", path=path))
    if has("control_model.", "controlnet_"):
        raise BadRequest(say("models.pictures.wrong.controlnet", path=path))
    if has("double_blocks.", "joint_blocks.", "model.diffusion_model.double_blocks.") or has(
        "model.diffusion_model.joint_blocks."
    ):
        raise BadRequest(say("models.pictures.wrong.other_family", path=path))
    if not has("model.diffusion_model."):
        if has("decoder.", "first_stage_model."):
            raise BadRequest(say("models.pictures.wrong.only_vae", path=path))
        raise BadRequest(say("models.pictures.wrong.no_unet", path=path))
    first = tensors.get("model.diffusion_model.input_blocks.0.0.weight", {}).get("shape", [0, 4])
    if first[1:2] != [4]:
        raise BadRequest(say("models.pictures.wrong.inpainting", path=path))
    if not has("first_stage_model."):
        raise BadRequest(say("models.pictures.wrong.no_vae", path=path))
    if has("conditioner.embedders.1."):
        return "sdxl"
    if has("conditioner.embedders.0.model."):
        return "refiner"
    if has("cond_stage_model.transformer."):
        return "sd15"
    if has("cond_stage_model.model."):
        return "sd21"
    raise BadRequest(say("models.pictures.wrong.no_encoder", path=path))


def _config_beside(path: Path, kind: Kind) -> Path | None:
    """A folder of the same kind: the file's own, in it, or next to it."""
    folders = [path.parent, *inside_of(path.parent), *inside_of(path.parent.parent)]
    for folder in folders:
        called = _CLASSES.get(str(_settings(folder / "model_index.json", lenient=True).get("_class_name")))
        wide = _settings(folder / "unet" / "config.json", lenient=True).get("cross_attention_dim") == 1024
        if called is not None and ("sd21" if called == "sd15" and wide else called) == kind:
            return folder
    return None


def _settings(path: Path, lenient: bool = False) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if lenient:
            return {}
        raise BadRequest(say("models.pictures.wrong.damaged", path=path)) from error
    return told if isinstance(told, dict) else {}


def _same(path: Path | None, other: Path) -> bool:
    return path is not None and os.path.realpath(path) in map(os.path.realpath, (other, other.parent))


def _for(found: Found, refiner: Found | None) -> Found | None:
    """Only the plain base leaves its last steps to a refiner: few-step models have none to spare."""
    return refiner if found.kind == "sdxl" and not found.few_step else None


def _weights(folder: Path, ends: Sequence[str] = WEIGHTS) -> list[Path]:
    return sorted((one for one in inside_of(folder) if one.suffix.casefold() in ends), key=by_name)
