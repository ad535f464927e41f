"""Fault plans: each kind does what it says, and the same seed does the same again."""

import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from infra.simulator.faults import VENDOR_TABLE
from tests.simulator.client import Client, create

ITEMS = "/items$"


def test_a_status_before_the_effect_leaves_the_list_alone(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "status", "status": 503, "retry_after": 5})

    answer = sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert answer.json()["error"]["code"] == "serviceNotAvailable"
    assert answer.json()["error"]["innerError"]["request-id"] == answer.headers["request-id"]
    assert sim.titles(path) == []


def test_a_status_after_the_effect_hides_a_write_that_landed(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "status", "status": 504, "when": "after"})

    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}}).status_code == 504

    assert sim.titles(path) == ["a"]


@pytest.mark.parametrize(("when", "landed"), [("before", []), ("after", ["a"])])
def test_a_reset_kills_the_connection_before_or_after_the_effect(sim: Client, when: str, landed: list[str]) -> None:
    path = sim.new_list()
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "reset", "when": when})

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}})

    assert sim.titles(path) == landed


def test_a_truncated_answer_ends_in_the_middle_of_its_body(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "truncate"})

    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
        sim.graph("POST", f"{path}/items", {"fields": {"Title": "a"}})

    assert sim.titles(path) == ["a"]


def test_silence_lasts_until_the_client_gives_up(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"method": "GET", "path": ITEMS}, {"kind": "silence"})

    with pytest.raises(httpx.ReadTimeout):
        sim.http.get(f"/v1.0{path}/items", timeout=1.0)

    assert sim.fired() == 1


def test_silence_is_bounded_by_its_seconds(sim: Client) -> None:
    sim.faults({"path": "/sites/root"}, {"kind": "silence", "seconds": 0.1})

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        sim.graph("GET", "/sites/root")


def test_a_slow_answer_takes_its_seconds_and_is_whole(sim: Client) -> None:
    _ = sim.site
    sim.faults({"path": "/sites/root"}, {"kind": "slow", "seconds": 0.3})

    started = time.monotonic()
    answer = sim.graph("GET", "/sites/root")

    assert answer.json()["webUrl"] == "https://contoso.sharepoint.com"
    assert time.monotonic() - started >= 0.3


def test_a_late_effect_lands_when_the_clock_says_so(sim: Client) -> None:
    path = sim.new_list()
    sim.control("POST", "clock", {"mode": "virtual"})
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "late", "status": 504, "seconds": 30})

    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "late"}}).status_code == 504
    assert sim.titles(path) == []

    sim.control("POST", "clock", {"advance": 31})
    assert sim.titles(path) == ["late"]


def test_a_late_effect_may_wait_for_requests_instead_of_seconds(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"method": "POST", "path": ITEMS}, {"kind": "late", "requests": 2})

    assert sim.graph("POST", f"{path}/items", {"fields": {"Title": "late"}}).status_code == 504
    sim.graph("GET", "/sites/root")
    assert sim.titles(path) == []
    sim.graph("GET", "/sites/root")
    assert sim.titles(path) == ["late"]


def test_a_late_batch_lands_whole(sim: Client) -> None:
    path = sim.new_list()
    sim.control("POST", "clock", {"mode": "virtual"})
    sim.faults({"path": "batch"}, {"kind": "late", "seconds": 5, "answer": "reset"})

    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        sim.batch(create(1, path, Title="a"), create(2, path, Title="b"))
    sim.control("POST", "clock", {"advance": 6})

    assert sim.titles(path) == ["a", "b"]


def test_a_fault_inside_a_batch_hits_only_the_request_it_names(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"inner": True, "nth": [2]}, {"kind": "status", "status": 429, "retry_after": 9, "when": "after"})

    answer = sim.batch(create(1, path, Title="a"), create(2, path, Title="b"), create(3, path, Title="c"))

    found = {entry["id"]: entry for entry in answer.json()["responses"]}
    assert {key: entry["status"] for key, entry in found.items()} == {"1": 201, "2": 429, "3": 201}
    assert found["2"]["headers"]["Retry-After"] == "9"
    assert sim.titles(path) == ["a", "b", "c"]


def test_batch_drop_loses_one_answer_and_no_effect(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"path": "batch"}, {"kind": "batch_drop"})

    answer = sim.batch(*(create(n, path, Title=str(n)) for n in range(5)))

    assert len(answer.json()["responses"]) == 4
    assert len(sim.titles(path)) == 5


@pytest.mark.parametrize(("value", "landed"), [(None, 2), ("after", 4)])
def test_batch_partial_fails_half_of_a_batch(sim: Client, value: str | None, landed: int) -> None:
    path = sim.new_list()
    sim.faults({"path": "batch"}, {"kind": "batch_partial", "status": 503, "value": value})

    answer = sim.batch(*(create(n, path, Title=str(n)) for n in range(4)))

    assert sorted(entry["status"] for entry in answer.json()["responses"]) == [201, 201, 503, 503]
    assert len(sim.titles(path)) == landed


def test_an_answer_may_lack_a_field_or_have_a_wrong_one(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="right")
    sim.faults({"path": "/items/1"}, {"kind": "missing_field", "field": "Title"})
    assert "Title" not in sim.graph("GET", f"{path}/items/1?$expand=fields").json()["fields"]

    sim.faults({"path": "/items/1"}, {"kind": "wrong_field", "field": "Title", "value": "wrong"})
    assert sim.graph("GET", f"{path}/items/1?$expand=fields").json()["fields"]["Title"] == "wrong"
    assert sim.titles(path) == ["right"]


def test_a_token_may_be_refused_in_the_middle_of_a_run(sim: Client) -> None:
    path = sim.new_list()
    sim.faults({"nth": [2]}, {"kind": "unauthorized"})

    statuses = [sim.graph("GET", f"{path}/items").status_code for _ in range(3)]

    assert statuses == [200, 401, 200]


def test_a_skewed_clock_shows_in_the_times_of_one_answer(sim: Client) -> None:
    path = sim.new_list()
    before = sim.add(path, Title="a")["createdDateTime"]
    sim.faults({"method": "POST", "path": ITEMS, "nth": [1]}, {"kind": "clock_skew", "seconds": 600})

    skewed, after = sim.add(path, Title="b")["createdDateTime"], sim.add(path, Title="c")["createdDateTime"]

    assert skewed > before
    assert after < skewed


@pytest.mark.parametrize(("body", "kind"), [("html", "text/html"), ("empty", None)])
def test_a_gateways_answer_is_no_json(sim: Client, body: str, kind: str | None) -> None:
    _ = sim.site
    sim.faults({}, {"kind": "status", "status": 502, "body": body})

    answer = sim.graph("GET", "/sites/root")

    assert answer.status_code == 502
    assert answer.headers.get("Content-Type") == kind


def test_the_same_seed_fires_at_the_same_requests(sim: Client) -> None:
    _ = sim.site
    runs = []
    for seed in (3, 3, 4):
        sim.faults({"path": "/sites/root", "rate": 0.5}, {"kind": "status", "status": 500}, seed)
        runs.append([sim.graph("GET", "/sites/root").status_code for _ in range(30)])

    assert runs[0] == runs[1]
    assert runs[0] != runs[2]
    assert 500 in runs[0]
    assert 200 in runs[0]


def test_a_rule_stops_after_its_maximum(sim: Client) -> None:
    _ = sim.site
    sim.faults({"path": "/sites/root", "max": 2}, {"kind": "status", "status": 500})

    assert [sim.graph("GET", "/sites/root").status_code for _ in range(4)] == [500, 500, 200, 200]
    assert sim.fired() == 2


def test_the_vendors_table_draws_each_methods_own_statuses_and_only_429_says_when_to_return(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "faults", {"preset": "vendor-table", "rate": 1.0, "seed": 1})

    seen: dict[str, set[int]] = {}
    for _ in range(60):
        for method in VENDOR_TABLE:
            answer = sim.graph(method, f"{path}/items/1", {} if method != "GET" else None)
            seen.setdefault(method, set()).add(answer.status_code)
            assert ("Retry-After" in answer.headers) == (answer.status_code == 429)

    assert seen == {method: set(statuses) for method, statuses in VENDOR_TABLE.items()}


def test_the_vendors_table_fails_a_batch_inside_a_200_and_all_of_it(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "faults", {"preset": "vendor-table", "rate": 1.0})

    answer = sim.batch(create(1, path), {**create(2, path), "dependsOn": ["1"]}, create(3, path))

    statuses = {entry["id"]: entry["status"] for entry in answer.json()["responses"]}
    assert answer.status_code == 200
    assert statuses["2"] == 424
    assert statuses["1"] in VENDOR_TABLE["POST"]
    assert statuses["3"] in VENDOR_TABLE["POST"]
    assert sim.titles(path) == []


def test_the_rough_preset_lets_some_failed_writes_land(sim: Client) -> None:
    path = sim.new_list()
    sim.control("PUT", "faults", {"preset": "rough", "rate": 1.0, "after_share": 0.5, "seed": 5})

    failed = 0
    for number in range(40):
        try:
            failed += sim.graph("POST", f"{path}/items", {"fields": {"Title": str(number)}}).status_code >= 500
        except httpx.TransportError:
            failed += 1

    assert failed > 0
    assert 0 < len(sim.titles(path)) < 40


def test_a_plan_that_does_not_fit_is_refused_with_the_reason(sim: Client) -> None:
    for plan, words in (
        ({"rules": [{"fault": {"kind": "earthquake"}}]}, "kind is one of"),
        ({"rules": [{"fault": {"kind": "status", "status": 200}}]}, "status is between"),
        ({"rules": [{"fault": {"kind": "status"}, "match": {"path": "("}}]}, "regular expression"),
        ({"preset": "calm"}, "no preset calm"),
        ({"preset": "rough", "after_share": "most"}, "after_share is between 0 and 1"),
        ({"rules": 1}, "rules is a list"),
        ({"rules": [{"match": {"max": "x"}, "fault": {"kind": "slow"}}]}, "max is a number"),
        ({"rules": [{"fault": {"kind": "status", "headers": {"a": "b\r\nc: d"}}}]}, "printable"),
        ({"rules": [{"fault": {"kind": "slow", "seconds": "long"}}]}, "seconds is a number"),
    ):
        assert words in sim.control("PUT", "faults", plan, status=400)["error"]["message"]


def test_the_log_says_which_fault_hit_a_request(sim: Client) -> None:
    path = sim.new_list()
    since = sim.control("GET", "requests")["seq"]
    sim.faults({"inner": True, "nth": [1]}, {"kind": "status", "status": 503, "when": "after"})

    sim.batch(create(1, path, Title="a"))

    (entry,) = sim.control("GET", f"requests?since={since}")["requests"]
    assert entry["ru"] == 2
    assert entry["inner"][0] | {"status": 503, "fault": "status after"} == entry["inner"][0]


def test_a_client_that_hangs_up_in_a_silence_harms_nobody(sim: Client) -> None:
    _ = sim.site
    sim.faults({"path": "/sites/root"}, {"kind": "silence"})
    parts = urlsplit(sim.address)
    with socket.create_connection((parts.hostname or "", parts.port or 0)) as raw:
        raw.sendall(b"GET /v1.0/sites/root HTTP/1.1\r\nHost: x\r\n\r\n")
    sim.control("DELETE", "faults")

    assert sim.graph("GET", "/sites/root").status_code == 200


def test_a_fault_may_hit_one_app_only(sim: Client) -> None:
    _ = sim.site
    sim.faults({"app": "5afe0000-0000-4000-8000-00000000004d"}, {"kind": "status", "status": 500})
    reader = sim.token(("5afe0000-0000-4000-8000-00000000004d", "simulator-read-secret"))

    answer = sim.http.get("/v1.0/sites/root", headers={"Authorization": f"Bearer {reader}"})

    assert answer.status_code == 500
    assert sim.graph("GET", "/sites/root").status_code == 200


def test_a_fault_chooses_its_codes_and_headers(sim: Client) -> None:
    _ = sim.site
    fault = {
        "kind": "status",
        "status": 410,
        "code": "resyncChangesUploadDifferences",
        "message": "Resync",
        "inner_code": "resyncRequired",
        "retry_after": "Wed, 21 Oct 2026 07:28:00 GMT",
        "headers": {"RateLimit-Reset": "90"},
    }
    sim.faults({}, fault)

    answer = sim.graph("GET", "/sites/root")

    assert answer.status_code == 410
    assert answer.json()["error"]["code"] == "resyncChangesUploadDifferences"
    assert answer.json()["error"]["innerError"]["code"] == "resyncRequired"
    assert (answer.headers["Retry-After"], answer.headers["RateLimit-Reset"]) == ("Wed, 21 Oct 2026 07:28:00 GMT", "90")


def test_the_login_is_hit_only_by_a_rule_that_names_it(sim: Client) -> None:
    sim.faults({}, {"kind": "status", "status": 500})
    assert sim.token()

    sim.faults({"path": "oauth2"}, {"kind": "status", "status": 503})
    form = {"grant_type": "client_credentials"}
    assert sim.http.post("/contoso/oauth2/v2.0/token", data=form).status_code == 503
