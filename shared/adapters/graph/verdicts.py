"""What an answer of Graph means: pure, by status first, then codes, then, where nothing else tells, the text.

Which codes go with which status is documented in two separate tables only (learn.microsoft.com/en-us/graph/errors); the
pairs below come from issues and recordings, so the status decides and a code only refines.

A write's verdict is never more certain than the answer: everything that might have landed is Doubtful.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.adapters.graph.answers import Answer, member, wait_of
from shared.core.errors import ConfigurationError, InvariantViolated, PermissionMissing, SyncError
from shared.core.ids import ETag, ItemId
from shared.core.items import Doubtful, Duplicate, Landed, Mismatch, NotSent, Outcome, Refused, Stopped, Unread

LOCKED_WAIT = 600.0
"""Seconds before a locked site (423) is asked again: it is being moved, or an administrator closed it."""
CONFLICT_WAIT = 2.0
"""Seconds after a save conflict of a create: SharePoint refuses parallel writes to one list now and then."""

_ETAG = re.compile(r'(?:W/)?"?[!#-~]{1,200}"?')
_UNKNOWN_FIELD = re.compile(r"Field '([A-Za-z0-9_]{1,255})' is not recogni[sz]ed")
_UNIQUE_TEXT = ("unique constraint", "duplicate values were found", "enforceuniquevalues", "-2130575169")
_CONFLICT_TEXT = ("save conflict", "-2130575305")


class WriteKind(StrEnum):
    CREATE = "CREATE"
    PATCH = "PATCH"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vanished:
    """404: the item is gone, or its list, its site, or the right to see them. Ask for the list before believing it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRefused:
    """401: nothing was done; renew the token and send again, once."""


Verdict = Outcome | Vanished | TokenRefused


def etag_of(value: object) -> ETag | None:
    """An eTag with its quotes, which If-Match needs; some answers leave them out (recordings of pnp/pnpcore)."""
    if not isinstance(value, str) or not _ETAG.fullmatch(value):
        return None
    bare = value.removeprefix("W/").strip('"')
    return ETag(f'"{bare}"') if bare else None


def item_id_of(value: object) -> ItemId | None:
    """Item ids are 32-bit numbers that Graph writes as strings."""
    if isinstance(value, str) and len(value) <= 10 and value.isascii() and value.isdigit() and 0 < int(value) < 2**31:
        return ItemId(int(value))
    return None


def is_unique_violation(answer: Answer) -> bool:
    """No authoritative code exists: the status is 400, 409 or 500, and only the text is common to the reports."""
    text = answer.text.lower()
    return answer.status in (400, 409, 500) and (
        (answer.status == 409 and answer.says("nameAlreadyExists")) or any(part in text for part in _UNIQUE_TEXT)
    )


def unknown_field(answer: Answer) -> str | None:
    """The internal name in "Field 'x' is not recognized"; "" when an unknown field is reported without a plain name."""
    if answer.status != 400:
        return None
    found = _UNKNOWN_FIELD.search(answer.text)
    if found:
        return found[1]
    return "" if "is not recogni" in answer.text else None


def write_verdict(
    kind: WriteKind, answer: Answer, *, item_id: ItemId | None, sent: Collection[str], now: datetime
) -> Verdict:
    """What became of one write. `sent`: names of the columns that were sent, the only names that may be repeated."""
    if answer.ok:
        return _landed(kind, answer, item_id)
    wait = wait_of(answer.headers, now)
    conflict = answer.says("resourceModified") or any(part in answer.text.lower() for part in _CONFLICT_TEXT)
    match answer.status:
        case 401:
            return TokenRefused()
        case 404:
            return Vanished()
        case 400 | 409 | 500 if kind is not WriteKind.DELETE and is_unique_violation(answer):
            return Duplicate()
        case 409 if kind is WriteKind.CREATE:
            return NotSent(retry_after=CONFLICT_WAIT) if conflict else Duplicate()
        case 409 | 412:
            return Mismatch() if kind is not WriteKind.CREATE else _refused(answer)
        case 423:
            return NotSent(retry_after=max(wait or 0.0, LOCKED_WAIT))
        case 424 | 429:
            return NotSent(retry_after=wait)
        case 509:
            return NotSent(retry_after=max(wait or 0.0, LOCKED_WAIT))
        case status:
            if (stop := stopping(answer, sent)) is not None:
                return Stopped(error=stop)
            if status in (400, 402, 405, 406, 410, 411, 413, 414, 415, 416, 422, 501):
                return _refused(answer)
            return Doubtful(reason=answer.described)


def _landed(kind: WriteKind, answer: Answer, item_id: ItemId | None) -> Outcome:
    match kind:
        case WriteKind.DELETE if item_id is not None:
            return Landed(item_id=item_id, etag=None)
        case WriteKind.PATCH if item_id is not None:
            return Landed(item_id=item_id, etag=etag_of(member(answer.body, "@odata.etag")) or _etag_header(answer))
        case _:
            created = item_id_of(member(answer.body, "id"))
            if created is None:
                return Doubtful(reason=f"{answer.status} without the new item's id")
            found = (
                etag_of(member(answer.body, "eTag"))
                or etag_of(member(answer.body, "@odata.etag"))
                or _etag_header(answer)
            )
            return Landed(item_id=created, etag=found)


def _etag_header(answer: Answer) -> ETag | None:
    return etag_of(answer.headers.get("etag"))


def _refused(answer: Answer) -> Refused:
    code = answer.codes[-1] if answer.codes else str(answer.status)
    return Refused(code=code, message=f"SharePoint refused this write ({answer.described}) and would refuse it again.")


def stopping(answer: Answer, sent: Collection[str] = ()) -> SyncError | None:
    """The error of an answer that concerns more than one item: rights, quota, schema."""
    match answer.status:
        case 403:
            return permission_missing(answer)
        case 507:
            return ConfigurationError(
                "The site's storage quota is used up: SharePoint takes no more items until an administrator raises it.",
                code="storage_full",
            )
        case 400 if (name := unknown_field(answer)) is not None:
            known = f"the column {name}" if name in sent else "a mapped column"
            return ConfigurationError(
                f"The list does not know {known} any more; check the list's columns and run the provisioning again.",
                code="schema_drift",
                column=name if name in sent else None,
            )
        case _:
            return None


def permission_missing(answer: Answer) -> PermissionMissing:
    read_only = answer.says("notAllowed", "serviceReadOnly")
    return PermissionMissing(
        f"SharePoint refuses access ({answer.described})"
        + ("; the site or list may be read-only." if read_only else ": the application has no sufficient right here."),
        remedy="Grant the application Sites.ReadWrite.All, or Sites.Selected with a 'write' grant on this site"
        " (POST /sites/{id}/permissions by an administrator); Sites.Manage.All or 'manage' to provision lists.",
        code="permission_missing",
    )


def unauthenticated() -> ConfigurationError:
    return ConfigurationError(
        "Graph refuses this application's token even after a renewal; check the connection's tenant and credentials.",
        code="unauthenticated",
    )


def read_failure(
    answer: Answer, now: datetime, *, asked: Collection[str] = ()
) -> Unread | Stopped | Vanished | TokenRefused:
    """What an answer other than 2xx says about a read. `asked`: names of the columns that were asked for."""
    wait = wait_of(answer.headers, now)
    match answer.status:
        case 401:
            return TokenRefused()
        case 404:
            return Vanished()
        case 423 | 509:
            return Unread(retry_after=max(wait or 0.0, LOCKED_WAIT))
        case status:
            if (stop := stopping(answer, asked)) is not None:
                return Stopped(error=stop)
            if 400 <= status < 500 and status not in (408, 409, 410, 412, 424, 425, 429):
                return Stopped(
                    error=InvariantViolated(
                        f"Graph refuses a read of this program ({answer.described}).", code="bad_request"
                    )
                )
            return Unread(retry_after=wait)


def is_not_indexed(answer: Answer) -> bool:
    """400 for a filter on a column that has no index (any more)."""
    return answer.status == 400 and "not indexed" in answer.text


def is_threshold(answer: Answer) -> bool:
    """A filter that touches more rows than the list view threshold: certain for 422 and tooManyResources.

    The same refusal is reported as a 429 too (msgraph-sdk-dotnet #703, #827); see `may_be_threshold`."""
    return answer.says("tooManyResources") or "list view threshold" in answer.text.lower()


def may_be_threshold(answer: Answer) -> bool:
    """A 429 to a filter that names no wait: real throttling names one nearly always."""
    told: Mapping[str, Any] = answer.headers
    return answer.status == 429 and "retry-after" not in told and "ratelimit-reset" not in told
