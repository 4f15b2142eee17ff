"""What a bucket's refusal means to a person. Pure: it reads what the library was told, and knows no library."""

from __future__ import annotations

import re

from engine.errors import GreenroomError, StoreError, TryAgain
from engine.locales import say

#: A bucket that could not answer is asked again after so many seconds.
AGAIN_AFTER = 5.0

# Servers agree on these words, which stand in the XML of a refusal; what else stands there is for its log.
NO_BUCKET = {"NoSuchBucket"}
ELSEWHERE = {
    "PermanentRedirect",
    "TemporaryRedirect",
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraintException",
}
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
NOT_KNOWN = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "InvalidClientTokenId",
    "Unauthorized",
}
NOT_ALLOWED = {"AccessDenied", "AllAccessDisabled", "AccountProblem"}
OTHER_TIME = {"RequestTimeTooSkewed"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage"}
PASSING = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "Throttling",
    "OperationAborted",
}

_CODE = re.compile(r"<Code>\s*([A-Za-z0-9.]{1,64})\s*</Code>")
_REGION = re.compile(r"<Region>\s*([a-z0-9-]{1,32})\s*</Region>")
_STATUS = re.compile(r"status code: (\d{3})")
#: Where a machine in the cloud is asked for its key, when none was given.
_ASKED_FOR_A_KEY = re.compile(r"latest/(?:api/token|meta-data)|Missing(?:AccessKeyId|SecretAccessKey)")


def said_code(told: str) -> str:
    """The word for it, for the log: the server's own, else its status. No address and no key is in it."""
    if found := _CODE.search(told):
        return found[1]
    if found := _STATUS.search(told):
        return found[1]
    return "no answer"


def is_about_the_bucket(told: str) -> bool:
    """Whether something was not found because there is no bucket that it could be in."""
    return said_code(told) in NO_BUCKET


def meaning(told: str) -> GreenroomError:
    """The error of ours for a refusal: `TryAgain` where waiting helps, `StoreError` where somebody has to mend it.

    Nothing of what was told is repeated but the server's word for it: the rest may hold signatures.
    """
    code = said_code(told)
    if _ASKED_FOR_A_KEY.search(told):
        return StoreError(say("files.no_key"))
    if code in NO_BUCKET:
        return StoreError(say("files.no_bucket"))
    if code in ELSEWHERE or "incorrectly configured region" in told:
        region = _REGION.search(told)
        return StoreError(say("files.region_is", region=region[1]) if region else say("files.region"))
    if code in EXPIRED:
        return StoreError(say("files.expired"))
    if code in NOT_KNOWN or code == "401":
        return StoreError(say("files.key_not_known"))
    if code in NOT_ALLOWED or code == "403":
        return StoreError(say("files.not_allowed"))
    if code in OTHER_TIME:
        return StoreError(say("files.other_time"))
    if code in FULL or code == "507":
        return StoreError(say("files.full"))
    status = _STATUS.search(told)
    if status and status[1].startswith("4") and status[1] not in ("408", "429") and code not in PASSING:
        return StoreError(say("files.refused", code=code))
    return away()


def away() -> TryAgain:
    """The bucket does not answer, or what it answered did not arrive whole."""
    return TryAgain(say("files.away"), after_s=AGAIN_AFTER)
