"""Pure: a picture that stands in its own address, as programs send it. What its bytes show nobody here knows."""

from __future__ import annotations

import base64
import binascii
import re

from bot.web.problems import Mistake
from engine.locales import Said, say
from engine.pictures.shown import MOST_BYTES, heavy

_DATA = re.compile(
    r"data:image/(?:png|jpe?g|webp)(?:;[\w.-]{1,40}=[\w.-]{1,40}){0,4};base64,", re.I | re.ASCII
)
#: What so many bytes are at most in base64, and a little more.
_LONGEST = MOST_BYTES * 4 // 3 + 4


def picture_in(address: object, where: str) -> bytes:
    """The file that such an address holds. What is none is refused; nothing is fetched from anywhere."""
    if not isinstance(address, str) or not address.strip():
        raise Mistake(400, say("compatible.part"), param=where, code="invalid_value")
    if address[:5].lower() != "data:":
        raise _refused(say("shown.elsewhere"), where)
    found = _DATA.match(address)
    if found is None:
        raise _refused(say("shown.kind"), where)
    if len(address) - found.end() > _LONGEST:
        raise _refused(heavy(), where)
    try:
        data = base64.b64decode(address[found.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise _refused(say("shown.uncoded"), where) from None
    if not data:
        raise _refused(say("shown.unreadable"), where)
    if len(data) > MOST_BYTES:
        raise _refused(heavy(), where)
    return data


def _refused(sentence: Said, where: str) -> Mistake:
    return Mistake(400, sentence, param=where, code="invalid_image_url")
