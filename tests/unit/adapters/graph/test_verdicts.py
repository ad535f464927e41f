"""The classification table as data: every status, for every kind of write and for reads."""

from datetime import UTC, datetime

import pytest

from shared.adapters.graph.answers import Answer
from shared.adapters.graph.verdicts import (
    LOCKED_WAIT,
    TokenRefused,
    Vanished,
    WriteKind,
    etag_of,
    item_id_of,
    read_failure,
    write_verdict,
)
from shared.core.errors import ConfigurationError, InvariantViolated, PermissionMissing
from shared.core.ids import ItemId
from shared.core.items import Doubtful, Duplicate, Landed, Mismatch, NotSent, Refused, Stopped, Unread
from tests.unit.adapters.graph.world import GUID, error

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENT = ("Title", "Amount")
CREATE, PATCH, DELETE = WriteKind.CREATE, WriteKind.PATCH, WriteKind.DELETE

# status -> what becomes of (create, patch, delete, read) when the body is an ordinary error
TABLE: dict[int, tuple[type, type, type, type]] = {
    302: (Doubtful, Doubtful, Doubtful, Unread),
    400: (Refused, Refused, Refused, Stopped),
    401: (TokenRefused, TokenRefused, TokenRefused, TokenRefused),
    402: (Refused, Refused, Refused, Stopped),
    403: (Stopped, Stopped, Stopped, Stopped),
    404: (Vanished, Vanished, Vanished, Vanished),
    405: (Refused, Refused, Refused, Stopped),
    406: (Refused, Refused, Refused, Stopped),
    408: (Doubtful, Doubtful, Doubtful, Unread),
    409: (Duplicate, Mismatch, Mismatch, Unread),
    410: (Refused, Refused, Refused, Unread),
    411: (Refused, Refused, Refused, Stopped),
    412: (Refused, Mismatch, Mismatch, Unread),
    413: (Refused, Refused, Refused, Stopped),
    414: (Refused, Refused, Refused, Stopped),
    415: (Refused, Refused, Refused, Stopped),
    416: (Refused, Refused, Refused, Stopped),
    418: (Doubtful, Doubtful, Doubtful, Stopped),
    422: (Refused, Refused, Refused, Stopped),
    423: (NotSent, NotSent, NotSent, Unread),
    424: (NotSent, NotSent, NotSent, Unread),
    429: (NotSent, NotSent, NotSent, Unread),
    500: (Doubtful, Doubtful, Doubtful, Unread),
    501: (Refused, Refused, Refused, Unread),
    502: (Doubtful, Doubtful, Doubtful, Unread),
    503: (Doubtful, Doubtful, Doubtful, Unread),
    504: (Doubtful, Doubtful, Doubtful, Unread),
    507: (Stopped, Stopped, Stopped, Stopped),
    509: (NotSent, NotSent, NotSent, Unread),
}


def verdict(kind: WriteKind, status: int, body: object = None, **headers: str) -> object:
    answer = Answer(status=status, headers=headers, body=body)
    item_id = None if kind is CREATE else ItemId(5)
    return write_verdict(kind, answer, item_id=item_id, sent=SENT, now=NOW)


@pytest.mark.parametrize("body", [error("someCode", "Some text."), None, "text", [], {"error": "x"}], ids=repr)
@pytest.mark.parametrize(("status", "expected"), TABLE.items())
def test_every_status_means_what_the_table_says_for_every_method(
    status: int, expected: tuple[type, type, type, type], body: object
) -> None:
    found = tuple(type(verdict(kind, status, body)) for kind in (CREATE, PATCH, DELETE))
    assert (*found, type(read_failure(Answer(status=status, body=body), NOW))) == expected


@pytest.mark.parametrize(
    ("kind", "status", "body", "expected"),
    [
        (
            CREATE,
            409,
            error("nameAlreadyExists", "One or more fields with unique constraints already has it."),
            Duplicate,
        ),
        (
            PATCH,
            409,
            error("nameAlreadyExists", "One or more fields with unique constraints already has it."),
            Duplicate,
        ),
        (CREATE, 400, error("invalidRequest", "duplicate values were found in the following field(s)"), Duplicate),
        (PATCH, 500, error("generalException", "SPDuplicateValuesFoundException -2130575169"), Duplicate),
        (CREATE, 500, error("generalException", "General exception while processing"), Doubtful),
        (DELETE, 409, error("nameAlreadyExists", "unique constraints"), Mismatch),
        (CREATE, 409, error("resourceModified"), NotSent),
        (CREATE, 409, error("generalException", "Save Conflict -2130575305"), NotSent),
        (PATCH, 409, error("resourceModified"), Mismatch),
        (PATCH, 409, error("x", "Save Conflict"), Mismatch),
        (PATCH, 412, error("notAllowed", inner="preconditionFailed"), Mismatch),
        (PATCH, 412, "no json at all", Mismatch),
    ],
)
def test_codes_and_texts_refine_a_status_only_where_reports_agree(
    kind: WriteKind, status: int, body: object, expected: type
) -> None:
    assert type(verdict(kind, status, body)) is expected


def test_an_unknown_field_stops_the_definition_and_names_the_column() -> None:
    found = verdict(PATCH, 400, error("invalidRequest", "Field 'Amount' is not recognized"))
    assert isinstance(found, Stopped)
    assert isinstance(found.error, ConfigurationError)
    assert found.error.code == "schema_drift"
    assert "Amount" in found.error.message


def test_an_unknown_field_that_was_never_sent_is_not_repeated() -> None:
    found = verdict(PATCH, 400, error("invalidRequest", "Field 'Secret' is not recognized"))
    assert isinstance(found, Stopped)
    assert "Secret" not in repr(found.error)
    assert "Secret" not in found.error.message


def test_messages_of_graph_never_reach_a_refusal() -> None:
    for status in TABLE:
        for kind in WriteKind:
            found = verdict(kind, status, error("invalidRequest", "canary-value 4711", inner="badArgument"))
            assert "canary" not in repr(found)
            assert "canary" not in str(getattr(getattr(found, "error", None), "message", ""))


def test_a_refusal_names_the_innermost_code() -> None:
    found = verdict(CREATE, 400, error("invalidRequest", "x", inner="badArgument"))
    assert isinstance(found, Refused)
    assert found.code == "badArgument"
    assert "invalidRequest / badArgument" in found.message


def test_a_hostile_code_is_not_repeated() -> None:
    found = verdict(CREATE, 400, error("<script>alert(1)</script>", "x", inner="a" * 100))
    assert isinstance(found, Refused)
    assert found.code == "400"


def test_a_revoked_right_stops_and_says_which_grant_gives_it() -> None:
    found = verdict(PATCH, 403, error("accessDenied"))
    assert isinstance(found, Stopped)
    assert isinstance(found.error, PermissionMissing)
    assert "Sites.Selected" in found.error.remedy


def test_a_locked_site_is_left_alone_for_long() -> None:
    assert verdict(PATCH, 423) == NotSent(retry_after=LOCKED_WAIT)
    assert verdict(PATCH, 423, **{"retry-after": "1200"}) == NotSent(retry_after=1200.0)


def test_throttling_carries_the_wait_that_was_asked_for() -> None:
    assert verdict(CREATE, 429, **{"retry-after": "31"}) == NotSent(retry_after=31.0)
    assert read_failure(Answer(status=503, headers={"retry-after": "7"}), NOW) == Unread(retry_after=7.0)


def test_a_creation_lands_with_the_id_and_the_etag_of_its_answer() -> None:
    body = {"id": "12", "eTag": f'"{GUID},1"', "fields": {"Due": "2026-01-01T09:00:00Z"}}
    assert verdict(CREATE, 201, body) == Landed(item_id=ItemId(12), etag=f'"{GUID},1"')  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body", [None, {}, {"id": 12}, {"id": "x"}, {"id": "0"}, {"id": "-1"}, {"id": "2147483648"}, []]
)
def test_a_creation_whose_answer_names_no_id_is_in_doubt(body: object) -> None:
    assert isinstance(verdict(CREATE, 201, body), Doubtful)


def test_a_change_lands_with_the_etag_of_the_value_set_or_of_the_header_or_with_none() -> None:
    etag = f'"{GUID},2"'
    assert verdict(PATCH, 200, {"@odata.etag": etag}) == Landed(item_id=ItemId(5), etag=etag)  # type: ignore[arg-type]
    assert verdict(PATCH, 200, {}, etag=etag) == Landed(item_id=ItemId(5), etag=etag)  # type: ignore[arg-type]
    assert verdict(PATCH, 200, None) == Landed(item_id=ItemId(5), etag=None)
    assert verdict(DELETE, 204) == Landed(item_id=ItemId(5), etag=None)


def test_a_refused_read_of_ours_is_a_bug_and_says_so() -> None:
    found = read_failure(Answer(status=400, body=error("invalidRequest", inner="invalidQueryOption")), NOW)
    assert isinstance(found, Stopped)
    assert isinstance(found.error, InvariantViolated)


@pytest.mark.parametrize(
    ("text", "etag"),
    [
        (f'"{GUID},3"', f'"{GUID},3"'),
        (f"{GUID},3", f'"{GUID},3"'),
        (f'W/"{GUID},3"', f'"{GUID},3"'),
        ('"a\r\nX-Evil: 1"', None),
        ('""', None),
        ("", None),
        (7, None),
        (None, None),
        ('"' + "x" * 300 + '"', None),
    ],
)
def test_etags_are_kept_with_quotes_and_hostile_ones_are_none(text: object, etag: str | None) -> None:
    assert etag_of(text) == etag


def test_item_ids_are_positive_32_bit_numbers_in_text() -> None:
    assert item_id_of("2147483647") == 2**31 - 1
    for bad in ("2147483648", "0", "-1", "1.0", " 1", "٣", "", 1, True, None, "1" * 5000):
        assert item_id_of(bad) is None
