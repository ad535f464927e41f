"""Reading one HTTP answer without trust."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.graph.answers import MAX_WAIT, Answer, answer_of, rate_limit, retry_after, wait_of

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("31", 31.0),
        ("0", 0.0),
        (" 5 ", 5.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2099 11:00:00 GMT", MAX_WAIT),
        ("99999999", MAX_WAIT),
        ("-5", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("1e9", None),
        ("9" * 400, None),
        ("", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_never_longer_than_an_hour(text: str, seconds: float | None) -> None:
    assert retry_after({"retry-after": text}, NOW) == seconds


def test_no_retry_after_is_no_wait() -> None:
    assert retry_after({}, NOW) is None


def test_rate_limit_reset_is_seconds_or_seconds_since_1970() -> None:
    headers = {"ratelimit-limit": "1200", "ratelimit-remaining": "0", "ratelimit-reset": "5"}
    found = rate_limit(headers, NOW)
    assert found is not None
    assert (found.limit, found.remaining, found.reset) == (1200, 0, 5.0)
    epoch = rate_limit(headers | {"ratelimit-reset": str(int(NOW.timestamp()) + 42)}, NOW)
    assert epoch is not None
    assert epoch.reset == 42.0


@pytest.mark.parametrize("bad", ["", "x", "-1", "1e3", "0x10"])
@pytest.mark.parametrize("name", ["limit", "remaining", "reset"])
def test_rate_limit_headers_that_are_no_numbers_say_nothing(name: str, bad: str) -> None:
    headers = {"ratelimit-limit": "1200", "ratelimit-remaining": "10", "ratelimit-reset": "5"}
    assert rate_limit(headers | {f"ratelimit-{name}": bad}, NOW) is None


def test_the_larger_of_retry_after_and_reset_counts() -> None:
    limits = {"ratelimit-limit": "1200", "ratelimit-remaining": "0", "ratelimit-reset": "50"}
    assert wait_of(limits | {"retry-after": "31"}, NOW) == 50.0
    assert wait_of(limits | {"retry-after": "80"}, NOW) == 80.0
    assert wait_of({}, NOW) is None


def test_error_codes_are_read_from_the_outermost_inwards_whatever_the_spelling() -> None:
    body = {"error": {"code": "a", "innererror": {"code": "b", "innerError": {"request-id": "x", "code": "c"}}}}
    assert Answer(status=400, body=body).codes == ("a", "b", "c")
    assert Answer(status=400, body=body).says("B")


def test_endless_inner_errors_end() -> None:
    node: dict[str, object] = {"code": "deep"}
    for _ in range(500):
        node = {"code": "x", "innerError": node}
    assert len(Answer(status=400, body={"error": node}).codes) == 8


def test_a_cut_body_is_unreadable_and_keeps_its_status() -> None:
    assert answer_of(200, {}, b'{"value": [{"id"') == Answer(status=200, readable=False)
    assert not answer_of(502, {}, b"<html>Bad gateway</html>").readable
    assert answer_of(204, {}, b"").readable
    assert not answer_of(200, {}, None).readable


def test_json_nested_beyond_reason_is_unreadable() -> None:
    assert not answer_of(200, {}, b"[" * 100_000 + b"]" * 100_000).readable


def test_half_a_surrogate_pair_does_not_hide_a_page() -> None:
    answer = answer_of(200, {}, b'{"value": "\\ud800"}')
    assert answer.readable
    assert answer.body == {"value": "\ud800"}


def test_constants_that_json_lacks_are_unreadable() -> None:
    assert not answer_of(200, {}, b'{"value": NaN, "x": "\\ud800"}').readable


@given(st.integers(100, 599), st.binary(max_size=200), st.dictionaries(st.text(max_size=20), st.text(max_size=20)))
def test_any_bytes_make_an_answer(status: int, raw: bytes, headers: dict[str, str]) -> None:
    answer = answer_of(status, headers, raw)
    assert answer.described.startswith(str(status))
    wait_of(answer.headers, NOW)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["error", "code", "message", "innerError", "id"]), inner)
    ),
    max_leaves=20,
)


@given(json_values)
def test_any_json_has_codes_and_a_text(body: object) -> None:
    answer = answer_of(400, {}, json.dumps(body).encode())
    assert isinstance(answer.codes, tuple)
    assert isinstance(answer.text, str)
