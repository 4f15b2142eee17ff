"""The words inside a PNG file: which text chunks it carries, and the same picture with others.

Knows the layout of chunks and nothing of pixels or cards. Wrong checksums and missing ends are overlooked when
reading, because pictures that went through many programs have them.
"""

from __future__ import annotations

import binascii
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from personas.carderror import CardError

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 10_000
#: What one text chunk may hold once unpacked.
MAX_TEXT = 12 * 1024 * 1024

_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}


@dataclass(frozen=True)
class Chunk:
    kind: bytes
    body: bytes
    sound: bool = True

    @property
    def keyword(self) -> str:
        """The name of a text chunk, in small letters as readers compare it; empty for any other chunk."""
        if self.kind not in _TEXT_CHUNKS:
            return ""
        return self.body[:80].partition(b"\0")[0].decode("latin-1").lower()


def chunks(data: bytes) -> Iterator[Chunk]:
    """The chunks of a PNG up to its end; what comes after IEND is not part of it."""
    if not data.startswith(SIGNATURE):
        raise CardError("this is not a PNG picture")
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        length, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + length]
        checksum = data[at + 8 + length : at + 12 + length]
        sound = len(body) == length and checksum == _checksum(kind, body)
        yield Chunk(kind, body, sound)
        at += 12 + length
        if kind == b"IEND":
            return
    raise CardError(f"the picture has more than {MAX_CHUNKS:,} parts")


def texts(data: bytes, keywords: frozenset[str]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """What stands under these keywords, the first of each, and notes on what was odd."""
    found: dict[str, bytes] = {}
    notes: list[str] = []
    for chunk in chunks(data):
        keyword = chunk.keyword
        if keyword not in keywords or keyword in found:
            continue
        try:
            found[keyword] = _text(chunk)
        except (zlib.error, ValueError):
            notes.append(f"the part “{keyword}” of the picture is damaged and was passed over")
            continue
        if not chunk.sound:
            notes.append(
                f"the part “{keyword}” of the picture has a wrong checksum; it was read all the same"
            )
    return found, tuple(notes)


def with_texts(picture: bytes, words: dict[str, bytes]) -> bytes:
    """The same picture with these texts, in place of any that it had under the same keywords.

    They stand right behind the header, so that programs that read no further than the pixels find them.
    """
    parts = [SIGNATURE]
    kinds: list[bytes] = []
    for chunk in chunks(picture):
        if not kinds and chunk.kind != b"IHDR":
            raise CardError("the picture is damaged: it does not begin with its header")
        kinds.append(chunk.kind)
        if chunk.keyword not in words:
            parts.append(_packed(chunk.kind, chunk.body))
        if chunk.kind == b"IHDR":
            parts += [_packed(b"tEXt", keyword.encode() + b"\0" + text) for keyword, text in words.items()]
    if b"IDAT" not in kinds or kinds[-1] != b"IEND":
        raise CardError("the picture is damaged: its end is missing")
    return b"".join(parts)


def _text(chunk: Chunk) -> bytes:
    rest = chunk.body.partition(b"\0")[2]
    if chunk.kind == b"tEXt":
        return rest
    if chunk.kind == b"zTXt":
        return _unpacked(rest[1:])
    packed, rest = rest[:1] == b"\x01", rest[2:]
    rest = rest.partition(b"\0")[2].partition(b"\0")[2]  # past the language and the translated keyword
    return _unpacked(rest) if packed else rest


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, MAX_TEXT)
    if unpacker.unconsumed_tail:
        raise CardError(f"the words in the picture are longer than {MAX_TEXT // 1024 // 1024} MiB")
    return text


def _packed(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + _checksum(kind, body)


def _checksum(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", binascii.crc32(body, binascii.crc32(kind)))
