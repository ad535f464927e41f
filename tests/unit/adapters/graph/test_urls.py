"""Paths and filters: nothing can leave its place."""

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.graph import urls
from shared.core.errors import ConfigurationError, GraphUnavailable, InvariantViolated, SyncError
from shared.core.ids import ListId, SiteId
from tests.unit.adapters.graph.world import LIST, ROOT, SITE

HOSTILE = [
    "",
    "..",
    "../x",
    "a/b",
    "%2e%2e",
    "x?y",
    "x#y",
    "x y",
    "\r\n",
    "\x00",
    "٣",
    "1",
    "'",
    "root",
    SITE + "/lists",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_site_list_column_or_subscription_id_of_another_form_makes_no_path(text: str) -> None:
    for build in (
        lambda: urls.site(SiteId(text)),
        lambda: urls.list_of(SITE, ListId(text)),
        lambda: urls.column(SITE, LIST, text),
        lambda: urls.subscription(text),
        lambda: urls.group_site(text),
    ):
        with pytest.raises(InvariantViolated):
            build()


@pytest.mark.parametrize("number", [0, -1, 2**31, True, "1", 1.0, None])
def test_an_item_id_that_is_no_positive_32_bit_number_makes_no_path(number: object) -> None:
    with pytest.raises(InvariantViolated):
        urls.item(SITE, LIST, number)  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_whatever_text_is_given_as_an_id_the_path_stays_below_its_list(text: str) -> None:
    try:
        path = urls.list_of(SITE, ListId(text)).path
    except SyncError:
        return
    assert path.startswith(f"/sites/{SITE}/lists/")
    assert urlsplit(ROOT + path).path == urlsplit(ROOT).path + path


@given(st.text(max_size=60))
def test_a_literal_holds_its_text_and_nothing_else(text: str) -> None:
    address = urls.items(SITE, LIST).query({"$filter": f"fields/Key eq {urls.literal(text)}", "$top": "2"})
    query = urlsplit(ROOT + address.path).query
    options = parse_qs(query, keep_blank_values=True, strict_parsing=True, separator="&")
    assert set(options) == {"$filter", "$top"}
    told = unquote(query.split("&")[0].removeprefix("$filter="))
    literal = told.removeprefix("fields/Key eq ")
    assert literal.startswith("'")
    assert literal.endswith("'")
    body = literal[1:-1]
    assert "'" not in body.replace("''", "")
    assert body.replace("''", "'") == text


@pytest.mark.parametrize(
    ("text", "literal"),
    [("O'Brien", "'O''Brien'"), ("') or (1 eq 1", "''') or (1 eq 1'"), ("a&b#c%27+", "'a&b#c%27+'")],
)
def test_known_injections_stay_within_their_literal(text: str, literal: str) -> None:
    assert urls.literal(text) == literal


def test_half_a_surrogate_pair_makes_no_literal() -> None:
    with pytest.raises(InvariantViolated):
        urls.literal("\ud800")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a,b", "a)", "1a", "ä", "a'", "x" * 256])
def test_a_column_name_that_is_no_internal_name_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        urls.column_name(name)


@pytest.mark.parametrize(
    ("host", "path", "expected"),
    [
        ("contoso.sharepoint.com", "sites/hr", "/sites/contoso.sharepoint.com:/sites/hr"),
        ("contoso.sharepoint.com", "", "/sites/contoso.sharepoint.com"),
        ("contoso.sharepoint.com", "sites/a b#c:d", "/sites/contoso.sharepoint.com:/sites/a%20b%23c%3Ad"),
    ],
)
def test_a_site_is_addressed_by_host_and_path(host: str, path: str, expected: str) -> None:
    assert urls.site_by_path(host, path).path == expected


@pytest.mark.parametrize("path", ["../x", "a/../b", "a//b", "/a", "a/"])
def test_a_site_path_with_odd_parts_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError):
        urls.site_by_path("contoso.sharepoint.com", path)


def test_a_link_of_the_same_origin_is_followed_verbatim() -> None:
    assert (
        urls.followed(f"{ROOT}/sites/x/lists/y/items/delta?token=a%20b", ROOT)
        == "/sites/x/lists/y/items/delta?token=a%20b"
    )


@pytest.mark.parametrize(
    "link",
    [
        "https://127.0.0.1:1/v1.0/sites/x",
        "http://127.0.0.1:2/v1.0/sites/x",
        "http://127.0.0.1/v1.0/sites/x",
        "http://evil.example/v1.0/sites/x",
        "http://127.0.0.1:1@evil.example/v1.0/sites/x",
        "http://user@127.0.0.1:1/v1.0/sites/x",
        "http://127.0.0.1:1.evil.example/v1.0/sites/x",
        "http://127.0.0.1:1/beta/sites/x",
        "http://127.0.0.1:1/v1.0/../beta/x",
        "http://127.0.0.1:1/v1.0x/sites",
        "http://127.0.0.1:1/v1.0/sites/x#y",
        "//127.0.0.1:1/v1.0/sites/x",
        "/v1.0/sites/x",
        "http://127.0.0.1:1/v1.0/sites/\r\nx",
        "http://127.0.0.1:x/v1.0/sites",
        "http://[/v1.0/sites",
        "",
        None,
        7,
        "http://127.0.0.1:1/v1.0/sites/" + "x" * 20_000,
    ],
)
def test_a_link_to_any_other_place_is_not_followed(link: object) -> None:
    with pytest.raises(GraphUnavailable) as caught:
        urls.followed(link, ROOT)
    assert caught.value.code == "foreign_link"
