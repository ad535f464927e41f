"""What is read of a webhook's body: only what is used, within bounds, and never an error that shows what was sent."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.notices import MAX_BODY, Notice, read

SUBSCRIPTION = "1e1b0d15-0b2c-4d6a-8f2c-000000000001"
# As published: https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks, and for lists.
POSTED = {
    "value": [
        {
            "id": "lsgTZMr9KwAAA",
            "subscriptionId": SUBSCRIPTION,
            "subscriptionExpirationDateTime": "2026-12-20T11:00:00Z",
            "clientState": "hush",
            "changeType": "updated",
            "resource": "sites/contoso.sharepoint.com,1,2/lists/3",
            "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
            "resourceData": {"@odata.type": "#Microsoft.Graph.ListItem"},
        }
    ]
}


def body(*notices: dict, **more) -> bytes:
    return json.dumps({"value": list(notices), **more}).encode()


def test_a_notice_is_read_and_what_is_not_used_is_ignored():
    assert read(json.dumps(POSTED).encode()) == [Notice(subscription=SUBSCRIPTION, client_state="hush")]


def test_a_lifecycle_event_is_read_also_one_that_nobody_knows_yet():
    found = read(body({"subscriptionId": SUBSCRIPTION, "clientState": None, "lifecycleEvent": "somethingNew"}))
    assert found == [Notice(subscription=SUBSCRIPTION, lifecycle="somethingNew")]


def test_many_notices_come_in_one_body():
    assert len(read(body(*POSTED["value"] * 100))) == 100


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"value": {}}',
        b'{"value": [null]}',
        b'{"value": [{}]}',
        b'{"value": [{"subscriptionId": 7}]}',
        b'{"value": [{"subscriptionId": ""}]}',
        body({"subscriptionId": "x" * 65}),
        body({"subscriptionId": "x", "clientState": "s" * 256}),
        body({"subscriptionId": "x", "clientState": ["s"]}),
        b'{"value": [{"subscriptionId": "\xff"}]}',
        b'{"value": [{"subscriptionId": "x"}',
        json.dumps(POSTED).encode() + b" {}",
    ],
)
def test_anything_else_is_refused(wrong: bytes):
    with pytest.raises(ValueError, match="the body is no collection of notices"):
        read(wrong)


def test_a_body_may_have_64_kib_and_not_a_byte_more():
    full = body(*POSTED["value"])
    assert read(full + b" " * (MAX_BODY - len(full)))
    with pytest.raises(ValueError, match="too large"):
        read(full + b" " * (MAX_BODY - len(full) + 1))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_body_that_is_nested_deeply_is_refused_before_it_is_parsed(opening: bytes):
    deep = b'{"value": ' + opening * (MAX_BODY // len(opening) - 10)
    with pytest.raises(ValueError, match="nested too deeply"):
        read(deep)


def test_brackets_within_texts_are_no_nesting():
    assert read(body({"subscriptionId": SUBSCRIPTION, "clientState": "[" * 100 + '\\"' + "{" * 100}))


@given(st.binary(max_size=300))
def test_whatever_bytes_are_sent_it_answers_with_notices_or_a_refusal_that_shows_none_of_them(sent: bytes):
    found, refusal = [], None
    try:
        found = read(sent)
    except ValueError as error:
        refusal = error
    assert all(isinstance(notice, Notice) for notice in found)
    if refusal is not None:
        assert re.fullmatch(r"the body is (no collection of notices|nested too deeply|too large)", str(refusal))
        assert refusal.__cause__ is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
_NOTICE = st.dictionaries(
    st.sampled_from(["subscriptionId", "clientState", "lifecycleEvent", "resource", "resourceData", "x"]),
    _JSON | st.just(SUBSCRIPTION),
    max_size=6,
)


@given(st.fixed_dictionaries({"value": st.lists(_NOTICE | _JSON, max_size=5) | _JSON}, optional={"x": _JSON}))
def test_whatever_json_is_sent_only_texts_of_bounded_length_come_out(document: dict):
    try:
        found = read(json.dumps(document).encode())
    except ValueError:
        return
    for notice in found:
        assert 0 < len(notice.subscription) <= 64
        assert len(notice.client_state or "") <= 255
        assert notice.lifecycle is None or isinstance(notice.lifecycle, str)


def test_a_client_state_is_not_in_a_notices_text():
    (found,) = read(json.dumps(POSTED).encode())
    assert "hush" not in repr(found)
