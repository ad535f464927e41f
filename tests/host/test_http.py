"""The HTTP front: routes, keys, headers, bounds, FastAPI behind AsgiMiddleware."""

import re

import pytest

from tests.host.conftest import HostMaker
from tests.host.running import RunningHost, until

pytestmark = pytest.mark.slow

PATIENT = {"AzureFunctionsJobHost__functionTimeout": "00:05:00"}


@pytest.fixture(scope="module")
def web(new_host: HostMaker) -> RunningHost:
    """Its functions have time enough on a busy machine: the app's own time-out is a second."""
    return new_host("web", environment={"LOCAL_HOST_FUNCTION_KEY": "known-function-key", **PATIENT})


@pytest.fixture(scope="module")
def hasty(new_host: HostMaker) -> RunningHost:
    """With the app's own time-out."""
    return new_host("web")


def test_route_parameters_query_and_url_reach_the_function(web: RunningHost):
    seen = web.client.get("/show/7/a%20b?x=1&x=2&y=%C3%A9").json()
    assert seen["route"] == {"id": "7", "name": "a b"}
    assert seen["params"] == {"x": "1,2", "y": "é"}
    # The real host builds the address with GetDisplayUrl: the path decoded, the query as it came.
    assert seen["url"] == web.ready["url"] + "/show/7/a b?x=1&x=2&y=%C3%A9"


def test_an_optional_part_may_be_missing(web: RunningHost):
    assert web.client.get("/show/7").json()["route"] == {"id": "7"}


def test_a_constraint_that_does_not_hold_leaves_the_path_to_another_route(web: RunningHost):
    assert web.client.get("/show/seven").status_code == 404
    assert "detail" in web.client.get("/show/seven").json()  # the catch-all answered
    assert web.client.get("/length/abc").json()["route"] == {"code": "abc"}
    assert "detail" in web.client.get("/length/abcd").json()


def test_a_literal_segment_wins_over_a_parameter(web: RunningHost):
    assert web.client.get("/show/latest").text == "the literal wins"


def test_a_default_value_fills_a_missing_part(web: RunningHost):
    assert web.client.get("/default").json()["route"] == {"size": "ten"}
    assert web.client.get("/default/two").json()["route"] == {"size": "two"}


def test_routes_match_whatever_the_case_of_their_letters(web: RunningHost):
    assert web.client.get("/SHOW/Latest").text == "the literal wins"


def test_head_and_options_reach_a_function_that_takes_them(web: RunningHost):
    head = web.client.head("/show/7")
    assert (head.status_code, head.content) == (200, b"")
    assert web.client.options("/show/7").json()["method"] == "OPTIONS"


def test_a_method_that_a_route_does_not_take_is_not_that_route(web: RunningHost):
    assert web.client.delete("/cookies").status_code == 404


def test_cookies_status_and_headers_of_an_answer_arrive(web: RunningHost):
    answer = web.client.get("/cookies")
    assert (answer.status_code, answer.text, answer.headers["x-own"]) == (201, "ok", "1")
    assert [cookie.split("=")[0] for cookie in answer.headers.get_list("set-cookie")] == ["a", "b"]
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_function_without_an_answer_is_an_error_as_in_the_worker(web: RunningHost):
    assert web.client.get("/nothing").status_code == 500


def test_an_exception_is_an_empty_500_and_its_text_is_not_logged(web: RunningHost):
    answer = web.client.get("/raises")
    assert (answer.status_code, answer.content) == (500, b"")
    log = web.log.read_text()
    assert 'action=http.failed function="raises" error="ValueError" at="function_app.py:' in log
    assert "secret-payload-4711" not in log


def test_a_function_that_exits_does_not_take_the_host_with_it(web: RunningHost):
    assert web.client.get("/exits").status_code == 500
    assert web.client.get("/show/1").status_code == 200


def test_identity_headers_from_outside_are_dropped(web: RunningHost):
    forged = {
        "x-ms-client-principal": "e30=",
        "X-MS-CLIENT-PRINCIPAL-ID": "me",
        "x-ms-client-principal-name": "me",
        "x-ms-client-principal-idp": "aad",
        "x-other": "kept",
    }
    for path in ("/show/1", "/v1/headers"):
        body = web.client.get(path, headers=forged).json()
        seen = body.get("headers", body)
        assert seen["x-other"] == "kept"
        assert not [name for name in seen if "principal" in name.lower()]


def test_a_function_key_opens_functions_and_nothing_above(web: RunningHost):
    assert web.bare("GET", "/locked").status_code == 401
    assert web.bare("GET", "/locked", headers={"x-functions-key": "wrong"}).status_code == 401
    assert web.bare("GET", "/locked", headers={"x-functions-key": "known-function-key"}).text == "open"
    assert web.bare("GET", "/locked?code=known-function-key").text == "open"
    assert web.bare("GET", "/guarded?code=known-function-key").status_code == 401
    assert web.bare("GET", "/admin/host/status?code=known-function-key").status_code == 401
    assert web.bare("GET", "/runtime/webhooks/durabletask/instances?code=known-function-key").status_code == 401


def test_the_system_key_opens_the_durable_endpoints_only(web: RunningHost):
    code = web.ready["keys"]["system"]
    assert web.bare("GET", f"/runtime/webhooks/durabletask/instances?code={code}").status_code == 200
    assert web.bare("GET", f"/locked?code={code}").status_code == 401
    assert web.bare("GET", f"/admin/host/status?code={code}").status_code == 401


def test_the_master_key_opens_everything(web: RunningHost):
    for path in ("/locked", "/guarded", "/admin/host/status", "/runtime/webhooks/durabletask/instances"):
        assert web.client.get(path).status_code == 200, path


def test_the_clients_own_durable_address_cannot_be_guessed(web: RunningHost):
    for path in ("/durabletask/instances", "/durabletask/x/instances"):
        assert web.bare("GET", path).json() == {"detail": "Not Found"}  # an ordinary path: FastAPI answered
    assert web.client.post("/start/outlast").status_code == 202  # the client knows it


def test_keys_can_be_switched_off_as_under_func(new_host: HostMaker):
    host = new_host("web", "--no-keys", state=False)
    assert host.bare("GET", "/locked").text == "open"


def test_keys_stay_the_same_over_a_restart(web: RunningHost, new_host: HostMaker):
    host = new_host("web")
    before = host.ready["keys"]
    host.stop()
    assert host.start().ready["keys"] == before
    assert before["master"] != web.ready["keys"]["master"]


def test_a_sync_function_over_its_timeout_fails_and_the_host_goes_on(hasty: RunningHost):
    for _ in range(8):  # more than the worker has threads on a small machine: hung threads are replaced
        assert hasty.client.get("/hangs").status_code == 500
    until(lambda: hasty.client.get("/show/1").status_code == 200)  # on a busy machine that may take a second, too
    assert 'action=invocation.timeout function="hangs"' in hasty.log.read_text()


def test_an_async_function_over_its_timeout_fails(hasty: RunningHost):
    assert hasty.client.get("/hangs-async").status_code == 500


def started(host: RunningHost, orchestrator: str) -> str:
    """An instance; by a function that may itself run over its time on a busy machine."""
    answer = until(lambda: found if (found := host.client.post(f"/start/{orchestrator}")).is_success else None)
    return str(answer.json()["id"])


def test_an_activity_over_its_timeout_fails_and_its_late_result_is_ignored(hasty: RunningHost):
    instance = started(hasty, "outlast")
    output = hasty.ended(instance)["output"]
    assert output == "Activity function 'sleeper' failed:  Timeout value of 00:00:01 exceeded by function: sleeper"
    assert [event["EventType"] for event in hasty.history(instance)].count(5) == 0


def test_an_orchestrator_over_its_timeout_is_tried_again(hasty: RunningHost):
    instance = started(hasty, "dawdles")
    assert hasty.ended(instance)["output"] == "in time"
    assert 'action=invocation.timeout function="dawdles"' in hasty.log.read_text()


def test_an_answer_that_takes_too_long_is_given_up_while_the_function_ends(new_host: HostMaker):
    host = new_host("web", "--answer-seconds", "0.2", environment=PATIENT, state=False)
    assert host.client.get("/slow").status_code == 504


def test_a_body_over_the_limit_is_refused(new_host: HostMaker):
    host = new_host("web", environment={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000"}, state=False)
    assert host.client.post("/v1/echo", content=b"x" * 1001).status_code == 413
    assert host.client.post("/v1/echo", content=b"x" * 1000).status_code == 200


def test_fastapi_gets_bodies_and_paths_and_its_start_up_runs_once(web: RunningHost):
    assert web.client.get("/v1/items/7").json() == {"item": 7, "startups": 1}
    assert web.client.get("/v1/items/7").json() == {"item": 7, "startups": 1}
    assert web.client.get("/v1/items/404").status_code == 404
    assert web.client.get("/v1/items/abc").status_code == 422
    echoed = web.client.post("/v1/echo?q=1%202", content="é".encode()).json()
    assert echoed == {"body": "é", "query": "q=1%202", "path": "/v1/echo"}


def test_the_context_parameter_names_the_function_and_its_folder(web: RunningHost):
    assert re.fullmatch(r"context_of 36 .*/apps/web", web.client.get("/context").text)


def test_the_real_environment_wins_over_local_settings(new_host: HostMaker, tmp_path):
    settings = tmp_path / "settings.json"
    settings.write_text('{"IsEncrypted": false, "Values": {"FROM_FILE": "file", "FROM_BOTH": "file"}}')
    host = new_host("web", "--settings", str(settings), environment={"FROM_BOTH": "environment"}, state=False)
    assert host.client.get("/environment/FROM_FILE").text == "file"
    assert host.client.get("/environment/FROM_BOTH").text == "environment"


def test_sections_that_do_nothing_here_are_warned_about(web: RunningHost):
    log = web.log.read_text()
    for section in ("aggregator", "extensions.cosmosDB"):
        assert f"host.json: the section {section} is kept but does nothing in this host." in log


def test_the_admin_api_lists_functions(web: RunningHost):
    assert web.client.get("/admin/host/ping").status_code == 200
    assert web.client.get("/admin/host/status").json()["state"] == "Running"
    assert {one["name"] for one in web.client.get("/admin/functions").json()} >= {"show", "outlast", "sleeper"}
    assert web.client.get("/admin/functions/show").json()["config"]["bindings"][0]["type"] == "httpTrigger"
    assert web.client.get("/admin/functions/nosuch").status_code == 404
    assert web.client.post("/admin/functions/show").status_code == 400


def test_no_key_and_no_body_stands_in_the_log(web: RunningHost):
    web.client.post("/v1/echo", content=b"body-4711")
    log = web.log.read_text()
    assert "body-4711" not in log
    lines = [line for line in log.splitlines() if not line.startswith(("Function key: ", "Master key: "))]
    assert not [line for line in lines for key in web.ready["keys"].values() if key in line]
