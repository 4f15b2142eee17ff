"""CHARX: a zip file with a card and its assets. Names inside it are only ever compared, never used as paths."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from dataclasses import dataclass

from personas.carderror import CardError

CARD = "card.json"
ICON = "assets/icon/images/main.png"
MAX_FILES = 2_000
MAX_CARD = 12 * 1024 * 1024
MAX_PICTURE = 16 * 1024 * 1024

_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    ValueError,
    KeyError,
    IndexError,
    NotImplementedError,  # a way of packing that Python does not know
    RuntimeError,  # an encrypted file
)
# Always the same bytes for the same card.
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Archive:
    """What a CHARX file holds: the card's text, and the names of everything else."""

    data: bytes
    card: bytes
    others: tuple[str, ...]

    def picture(self, name: str) -> bytes | None:
        """One asset's bytes, where it is there and not too large."""
        if name not in self.others:
            return None
        try:
            with zipfile.ZipFile(io.BytesIO(self.data)) as archive:
                return _read(archive, name, MAX_PICTURE)
        except (CardError, *_BROKEN):
            return None


def opened(data: bytes) -> Archive:
    """Reads the table of contents and the card; the assets stay packed."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = [info.filename for info in archive.infolist() if not info.is_dir()]
            if len(names) > MAX_FILES:
                raise CardError(f"the archive holds more than {MAX_FILES:,} files")
            if CARD not in names:
                raise CardError(f"the archive holds no {CARD}, so it is not a character card")
            return Archive(data, _read(archive, CARD, MAX_CARD), tuple(n for n in names if n != CARD))
    except CardError:
        raise
    except _BROKEN:
        raise CardError("the archive is damaged, encrypted or not a zip file") from None


def packed(card: bytes, picture: bytes | None) -> bytes:
    """A CHARX file with this card, and the picture as its icon."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in ((CARD, card), (ICON, picture)):
            if data is not None:
                info = zipfile.ZipInfo(name, _LONG_AGO)
                info.compress_type = zipfile.ZIP_DEFLATED if name == CARD else zipfile.ZIP_STORED
                archive.writestr(info, data)
    return target.getvalue()


def _read(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    info = archive.getinfo(name)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise CardError(f"{name} is packed in a way that a character card may not use")
    with archive.open(info) as file:
        # The size in the table of contents may be a lie, so what comes out is counted.
        data = file.read(limit + 1)
    if len(data) > limit:
        raise CardError(f"{name} is larger than {limit // 1024 // 1024} MiB once unpacked")
    return data
