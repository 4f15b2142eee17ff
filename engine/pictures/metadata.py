"""What a picture file says of itself: the parameters that made it, and that no camera did.

It writes the text chunks of a PNG. It does not know where files are kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from io import BytesIO
from zlib import crc32

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from engine.pictures import PictureWanted, Rendered
from engine.pictures.loras_told import words

_SOURCE_TYPES = "https://cv.iptc.org/newscodes/digitalsourcetype/"

#: A PNG's signature and its first chunk, which has always one length.
HEADER = 33
#: No chunk of ours is longer; the rest of a longer text is left out.
LONGEST = 200_000


def encode_png(
    rendered: Rendered, wanted: PictureWanted, *, parameters: Mapping[str, object] | None = None
) -> bytes:
    """The picture as PNG bytes, with how it was made in its text chunks.

    `parameters` are added to the line of settings, and replace those of the same name.
    """
    info = PngInfo()
    for name, text in _chunks(rendered, wanted, parameters or {}).items():
        text = _storable(text)
        try:
            text.encode("latin-1")
        except UnicodeEncodeError:
            info.add_itxt(name, text)
        else:
            info.add_text(name, text)
    if rendered.png:
        return _with_chunks(rendered.png, info)
    return plain_png(rendered.image, info)


def plain_png(image: Image.Image, info: PngInfo | None = None) -> bytes:
    out = BytesIO()
    # Level 2 takes a quarter of the time of the default, for two percent in size.
    image.save(out, "PNG", pnginfo=info, compress_level=2)
    return out.getvalue()


def _with_chunks(png: bytes, info: PngInfo) -> bytes:
    """The same picture, not encoded again: its texts stand behind its header."""
    chunks = [
        b"".join((len(data).to_bytes(4), kind, data, crc32(kind + data).to_bytes(4)))
        for kind, data, *_where in info.chunks
    ]
    return b"".join((png[:HEADER], *chunks, png[HEADER:]))


def _chunks(rendered: Rendered, wanted: PictureWanted, parameters: Mapping[str, object]) -> dict[str, str]:
    if rendered.stand_in:
        source = "A stand-in drawn by a program; no picture model was used."
        source_type = "algorithmicMedia"
    else:
        source = "A picture made by an AI model."
        source_type = "trainedAlgorithmicMedia"
    return {
        "parameters": _parameters(rendered, wanted, parameters),
        "Software": f"Greenroom {_version()}",
        "Source": source,
        "DigitalSourceType": _SOURCE_TYPES + source_type,
    }


def _parameters(rendered: Rendered, wanted: PictureWanted, extra: Mapping[str, object]) -> str:
    """In the form that other picture programs read: prompt, negative prompt, then one line of settings."""
    image = rendered.image
    settings: dict[str, object] = {
        "Steps": wanted.steps,
        "Sampler": rendered.facts.get("sampler", "none" if rendered.stand_in else "unknown"),
        "CFG scale": f"{wanted.guidance:g}",
        "Seed": wanted.seed,
        "Size": f"{image.width}x{image.height}",
        "Model": rendered.model,
        "Style": wanted.style,
    }
    facts = rendered.facts
    if "model_hash" in facts:
        settings["Model hash"] = facts["model_hash"]
    if "start" in facts:
        settings["Denoising strength"] = f"{facts['start']['strength']:g}"
    if "hires" in facts:
        width, height = facts["hires"]["from"]
        settings["Hires resize"] = f"{image.width}x{image.height}"
        settings["First pass size"] = f"{width}x{height}"
        settings["Denoising strength"] = f"{facts['hires']['strength']:g}"
    settings.update(extra)
    prompt = " ".join(part for part in (wanted.prompt, words(wanted.loras)) if part)
    lines = [prompt, f"Negative prompt: {wanted.negative}" if wanted.negative else ""]
    lines.append(", ".join(f"{name}: {_setting(value)}" for name, value in settings.items()))
    return "\n".join(line for number, line in enumerate(lines) if line or number == 0)


def _setting(value: object) -> str:
    """A value on the line of settings: quoted where its own commas or colons would end it early."""
    text = " ".join(str(value).split())
    if any(mark in text for mark in ',:"'):
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{escaped}"'
    return text


def _storable(text: str) -> str:
    """Without what a PNG cannot hold: lone surrogates become �, null characters go."""
    text = text[:LONGEST].replace("\0", "")
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@cache
def _version() -> str:
    try:
        return version("greenroom")
    except PackageNotFoundError:
        return "unknown"
