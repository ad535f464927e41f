"""Knobs: what the documentation leaves open, each way it can be set."""

import base64

import pytest

from tests.simulator.client import APP, Client, create

KEY = {"name": "Key", "text": {}, "indexed": True, "enforceUniqueValues": True}


def test_a_knob_takes_only_what_it_knows(sim: Client) -> None:
    for change, words in (
        ({"colour": 1}, "there is no knob colour"),
        ({"unique_violation": 418}, "takes one of 409, 400, 500"),
        ({"page_size_max": "many"}, "takes a value like 5000"),
        ({"page_size_max": 0}, "takes a value like 5000"),
        ({"page_size_max": 1.5}, "takes a value like 5000"),
        ({"notification_delay_max": 1e300}, "takes a value like 30.0"),
        ({"page_size_max": 10, "throttling": 1}, "knob throttling"),
    ):
        assert words in sim.control("PUT", "knobs", change, status=400)["error"]["message"]
    assert sim.control("GET", "knobs")["page_size_max"] == 5000


def test_every_knob_has_a_reason(sim: Client) -> None:
    table = sim.control("GET", "knobs?describe")["knobs"]

    assert all(knob["reason"] for knob in table)
    assert {knob["name"]: knob["value"] for knob in table} == sim.control("GET", "knobs")


@pytest.mark.parametrize(
    ("status", "code"), [(409, "nameAlreadyExists"), (400, "invalidRequest"), (500, "generalException")]
)
def test_a_unique_violation_has_three_flavours_and_makes_no_item(sim: Client, status: int, code: str) -> None:
    sim.control("PUT", "knobs", {"unique_violation": status})
    path = sim.new_list("Staff", KEY)
    sim.add(path, Key="k")

    answer = sim.graph("POST", f"{path}/items", {"fields": {"Key": "k"}})

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert len(sim.titles(path)) == 1


def test_over_the_threshold_an_unindexed_filter_fails_in_two_flavours(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "knobs", {"threshold": 2})
    sim.batch(*(create(n, path, Title="t") for n in range(3)))
    ask = f"{path}/items?$filter=fields/Title eq 't'"
    prefer = {"Prefer": "HonorNonIndexedQueriesWarningMayFailRandomly"}

    assert sim.graph("GET", ask, headers=prefer).status_code == 429
    sim.control("PUT", "knobs", {"threshold_flavour": "422"})
    answer = sim.graph("GET", ask, headers=prefer)
    assert (answer.status_code, answer.json()["error"]["innerError"]["code"]) == (422, "tooManyResources")


def test_required_columns_are_enforced_only_when_asked_for(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Must", "text": {}, "required": True})

    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}}).status_code == 201
    sim.control("PUT", "knobs", {"required_enforced": True})
    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}}).status_code == 400


def test_whole_numbers_come_as_doubles_or_as_integers(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Age", "number": {}})
    sim.add(path, Age=3)

    assert '"Age":3.0' in sim.graph("GET", f"{path}/items/1?$expand=fields($select=Age)").text
    sim.control("PUT", "knobs", {"integral_as": "int"})
    assert '"Age":3,' in sim.graph("GET", f"{path}/items/1?$expand=fields").text


def test_a_fraction_keeps_fifteen_digits_and_an_integer_all_of_them(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "N", "number": {}})

    for sent, kept in (
        (0.1234567890123456789, 0.123456789012346),
        (2**53, 2**53),
        (123456789012345.6, 123456789012346),
    ):
        assert sim.add(path, N=sent)["fields"]["N"] == kept


def test_delta_oddities_never_lose_a_change(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "knobs", {"throttling": False})
    link = sim.graph("GET", f"{path}/items/delta?token=latest&$expand=fields").json()["@odata.deltaLink"]
    sim.batch(*(create(n, path, Title=f"t{n}") for n in range(20)))
    sim.graph("DELETE", f"{path}/items/4")
    sim.graph("PATCH", f"{path}/items/5/fields", {"Title": "new"})
    knobs = {
        "delta_repeat_rate": 0.5,
        "delta_empty_page_rate": 0.5,
        "delta_unchanged_rate": 0.5,
        "page_size_default": 3,
    }
    sim.control("PUT", "knobs", knobs)

    seen: dict[str, dict[str, object]] = {}
    entries = empty = 0
    url = link
    for _ in range(100):
        page = sim.graph("GET", url).json()
        empty += not page["value"] and "@odata.nextLink" in page
        entries += len(page["value"])
        seen |= {entry["id"]: entry for entry in page["value"]}
        if "@odata.deltaLink" in page:
            break
        url = page["@odata.nextLink"]
    else:
        pytest.fail("the feed has no end")

    assert len(seen) == 20
    assert seen["4"]["deleted"] == {"state": "deleted"}
    assert seen["5"]["fields"]["Title"] == "new"  # type: ignore[index]
    assert entries > 20
    assert empty > 0


def test_a_poisoned_page_has_an_error_in_place_of_its_tombstones(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    link = sim.graph("GET", f"{path}/items/delta").json()["@odata.deltaLink"]
    sim.graph("DELETE", f"{path}/items/1")
    sim.control("PUT", "knobs", {"delta_poison": True})

    (entry,) = sim.graph("GET", link).json()["value"]

    assert set(entry) == {"error"}
    assert entry["error"]["code"] == "InternalServerError"


def test_a_lagging_feed_shows_a_change_later_than_a_read_does(sim: Client) -> None:
    sim.control("POST", "clock", {"mode": "virtual"})
    sim.control("PUT", "knobs", {"delta_lag_seconds": 60})
    path = sim.new_list()
    link = sim.graph("GET", f"{path}/items/delta?token=latest").json()["@odata.deltaLink"]
    sim.add(path, Title="a")

    page = sim.graph("GET", link).json()
    assert page["value"] == []
    sim.control("POST", "clock", {"advance": 61})
    assert [entry["id"] for entry in sim.graph("GET", page["@odata.deltaLink"]).json()["value"]] == ["1"]


def test_a_restored_site_kills_every_token_and_says_where_to_start(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    link = sim.graph("GET", f"{path}/items/delta?$expand=fields").json()["@odata.deltaLink"]
    sim.control("POST", f"lists/{path.rpartition('/')[2]}/expire-tokens")

    gone = sim.graph("GET", link)

    assert (gone.status_code, gone.json()["error"]["code"]) == (410, "resyncChangesApplyDifferences")
    again = sim.graph("GET", gone.headers["Location"]).json()
    assert again["value"][0]["fields"]["Title"] == "a"


def test_an_old_links_token_names_the_list_as_recorded_tokens_do(sim: Client) -> None:
    path = sim.new_list()
    link = sim.graph("GET", f"{path}/items/delta?token=latest").json()["@odata.deltaLink"]

    token = base64.b64decode(link.partition("token=")[2].replace("%3D", "=").replace("%2B", "+").replace("%2F", "/"))

    assert token.decode().startswith(f"3;%234;%231;3;{path.rpartition('/')[2]};")


def test_a_national_clouds_graph_is_a_fitting_audience_and_another_host_is_not(sim: Client) -> None:
    form = {"grant_type": "client_credentials", "client_id": APP[0], "client_secret": APP[1]}
    for host, status in (
        ("graph.microsoft.us", 200),
        ("microsoftgraph.chinacloudapi.cn", 200),
        ("vault.azure.net", 400),
    ):
        answer = sim.http.post("/contoso/oauth2/v2.0/token", data={**form, "scope": f"https://{host}/.default"})
        assert answer.status_code == status


def test_throttling_may_say_503_or_the_gateways_words_or_nothing_about_the_wait(sim: Client) -> None:
    path = sim.new_list()
    sim.control("POST", "tenants", {"name": "contoso", "ru_per_minute": 1})
    sim.control("PUT", "knobs", {"throttle_status": 503, "throttle_body": "gateway", "retry_after": False})

    answer = sim.graph("GET", f"{path}/items")

    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "TooManyRequests")
    assert "Retry-After" not in answer.headers


def test_a_blocked_tenant_answers_503_whatever_the_budget(sim: Client) -> None:
    _ = sim.site
    sim.control("POST", "tenants", {"name": "contoso", "blocked": True})
    assert sim.graph("GET", "/sites/root").status_code == 503


def test_a_read_only_site_reads_and_refuses_writes(sim: Client) -> None:
    path = sim.new_list()
    sim.control("POST", "tenants", {"name": "contoso", "sites": [{"path": "/sites/hr", "read_only": True}]})

    assert sim.graph("GET", f"{path}/items").status_code == 200
    answer = sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "notAllowed")


def test_a_calculated_column_is_computed_on_read(sim: Client) -> None:
    path = sim.new_list(
        "Staff",
        {"name": "Price", "number": {}},
        {"name": "Total", "calculated": {"formula": "=[Price]*2", "outputType": "number"}},
        {"name": "Label", "calculated": {"formula": '=[Title]&" costs "&[Price]', "outputType": "text"}},
    )

    fields = sim.add(path, Title="tea", Price=4)["fields"]

    assert (fields["Total"], fields["Label"]) == (8.0, "tea costs 4")


def test_the_clock_refuses_what_it_does_not_know(sim: Client) -> None:
    for body in ({"jump": 1}, {"advance": "far"}, {"mode": "lunar"}, {"set": "tomorrow"}):
        sim.control("POST", "clock", body, status=400)


def test_writes_may_meet_a_conflict_that_nobody_caused(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    sim.control("PUT", "knobs", {"sporadic_conflict_rate": 1.0})

    for answer in (
        sim.graph("POST", f"{path}/items", {"fields": {"Title": "b"}}),
        sim.graph("PATCH", f"{path}/items/1/fields", {"Title": "b"}),
        sim.graph("DELETE", f"{path}/items/1"),
        sim.graph("POST", f"{path}/columns", {"name": "C", "text": {}}),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "resourceModified")
    assert sim.titles(path) == ["a"]
