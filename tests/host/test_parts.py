"""The host's pure parts: spans, schedules, routes, settings, keys, back-off, threads."""

import json
import logging
import threading
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.functions import meta
from hypothesis import given
from hypothesis import strategies as st

from infra.local.host.auth import Keys, level_of, load_keys
from infra.local.host.backoff import FIRST, Backoff
from infra.local.host.clock import Clock, iso, parse_iso
from infra.local.host.cron import Cron, parse_schedule, shortest_gap
from infra.local.host.errors import HostError
from infra.local.host.indexing import Binding, Function
from infra.local.host.logs import Formatter
from infra.local.host.queues import bodies
from infra.local.host.routing import make_routes
from infra.local.host.settings import apply_values, overridden, parse_host, parse_local, resolve, script_name
from infra.local.host.spans import format_span, parse_span
from infra.local.host.state import StateFile
from infra.local.host.storage import Connections
from infra.local.host.threads import ThreadPool
from infra.local.host.timers import Status, past_due


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(st.timedeltas(timedelta(0), timedelta(days=9999)))
def test_a_span_of_whole_seconds_survives_writing_and_reading(span: timedelta):
    whole = timedelta(seconds=int(span.total_seconds()))
    assert parse_span(format_span(whole)) == whole


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:00:02", timedelta(seconds=2)),
        ("3.00:00:00", timedelta(days=3)),
        ("00:00:00.5000000", timedelta(milliseconds=500)),
    ],
)
def test_spans_are_read_as_dotnet_writes_them(text: str, span: timedelta):
    assert parse_span(text) == span


@pytest.mark.parametrize("text", ["", "5", "24:00:00", "00:60:00", "00:00:60", "-00:00:01", "1:2", "a:b:c"])
def test_what_is_no_span_is_refused(text: str):
    with pytest.raises(ValueError, match="time span"):
        parse_span(text)


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("0 */5 * * * *", "2026-01-01T00:00:00", "2026-01-01T00:05:00"),
        ("0 0 * * * *", "2026-01-01T23:59:59", "2026-01-02T00:00:00"),
        ("0 0 */2 * * *", "2026-01-01T00:00:00", "2026-01-01T02:00:00"),
        ("0 0 9-17 * * *", "2026-01-01T17:00:00", "2026-01-02T09:00:00"),
        ("0 30 9 * * 1-5", "2026-01-02T09:30:00", "2026-01-05T09:30:00"),  # Friday to Monday
        ("0 30 9 * * MON-FRI", "2026-01-02T09:30:00", "2026-01-05T09:30:00"),
        ("0 30 9 * Jan Mon", "2026-01-26T09:30:00", "2027-01-04T09:30:00"),
        ("0 0 0 13 * 5", "2026-01-01T00:00:00", "2026-02-13T00:00:00"),  # a Friday that is a 13th: both must match
        ("5,10 * * * * *", "2026-01-01T00:00:05", "2026-01-01T00:00:10"),
        ("10/20 * * * * *", "2026-01-01T00:00:31", "2026-01-01T00:00:50"),
        ("0 0 22-2 * * *", "2026-01-01T22:30:00", "2026-01-01T23:00:00"),
        ("0 0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
        ("*/5 * * * *", "2026-01-01T00:00:01", "2026-01-01T00:05:00"),  # five fields: on the full minute
        ("01:30:00", "2026-01-01T00:00:10", "2026-01-01T01:30:10"),
    ],
)
def test_a_schedule_names_its_next_run(schedule: str, after: str, following: str):
    assert parse_schedule(schedule).next(at(after)) == at(following)


def test_a_schedule_that_can_never_run_is_refused():
    with pytest.raises(ValueError, match="never fires"):
        parse_schedule("0 0 0 30 2 *").next(at("2026-01-01T00:00:00"))


@pytest.mark.parametrize(
    "text", ["", "* * *", "60 * * * * *", "* * * * 13 *", "* * * 0 * *", "*/0 * * * * *", "x * * * * *", "00:00:00", "* * * * * * *"]
)  # fmt: skip
def test_what_is_no_schedule_is_refused(text: str):
    with pytest.raises(ValueError, match=r".+"):
        parse_schedule(text)


@given(
    st.lists(st.sampled_from(["*", "*/7", "3", "1-5", "2,4"]), min_size=6, max_size=6),
    st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)),
)
def test_the_next_run_is_the_first_later_moment_that_matches_every_field(fields: list[str], moment: datetime):
    schedule = parse_schedule(" ".join(fields))
    assert isinstance(schedule, Cron)
    after = moment.replace(tzinfo=UTC)
    try:
        following = schedule.next(after)
    except ValueError:
        return
    assert following > after

    def matches(t: datetime) -> bool:
        sets = (schedule.seconds, schedule.minutes, schedule.hours, schedule.days, schedule.months, schedule.weekdays)
        values = (t.second, t.minute, t.hour, t.day, t.month, t.isoweekday() % 7)
        return all(value in allowed for value, allowed in zip(values, sets, strict=True))

    assert matches(following)
    probe = after.replace(microsecond=0) + timedelta(seconds=1)
    for _ in range(3000):
        if probe >= following:
            return
        assert not matches(probe)
        probe += timedelta(seconds=1)


def test_the_monitors_limit_is_judged_by_the_shortest_gap():
    assert shortest_gap(parse_schedule("*/10 * * * * *"), at("2026-01-01T00:00:00")) == timedelta(seconds=10)
    assert shortest_gap(parse_schedule("0 */1 * * * *"), at("2026-01-01T00:00:00")) == timedelta(minutes=1)


def test_a_missed_run_is_judged_by_the_schedule_of_today():
    status = Status(last=at("2026-01-01T00:00:00"), next=at("2026-01-01T01:00:00"), updated=at("2026-01-01T00:00:00"))
    now = at("2026-01-01T00:30:00")
    assert not past_due(status, parse_schedule("0 0 * * * *"), now)
    assert past_due(status, parse_schedule("0 */10 * * * *"), now)
    assert not past_due(None, parse_schedule("0 */10 * * * *"), now)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, 'version must be "2.0", not null'),
        ({"version": "1.0"}, 'version must be "2.0"'),
        ({"version": "2.0", "extensions": []}, "extensions must be an object, not []"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize must be a whole number"),
        ({"version": "2.0", "extensions": {"queues": {"batchSize": True}}}, "extensions.queues.batchSize must be a whole number"),
        ({"version": "2.0", "extensions": {"queues": {"newBatchThreshold": -1}}}, "newBatchThreshold must be a whole number"),
        ({"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "fast"}}}, "maxPollingInterval must be a time span"),
        ({"version": "2.0", "extensions": {"queues": {"messageEncoding": "zip"}}}, 'must be "base64" or "none"'),
        ({"version": "2.0", "extensions": {"http": {"routePrefix": 1}}}, "extensions.http.routePrefix must be a text"),
        ({"version": "2.0", "extensions": {"durableTask": {"hubName": "my-hub"}}}, "hubName must be 1 to 45 letters"),
        ({"version": "2.0", "functionTimeout": 5}, "functionTimeout must be a time span"),
        ({"version": "2.0", "functions": "f"}, "functions must be a list"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_host_json_is_refused_with_its_path(document: dict, said: str):
    with pytest.raises(HostError, match=r"^host\.json: ") as caught:
        parse_host(document)
    assert said in str(caught.value)


def test_host_json_is_read_into_what_the_host_uses():
    config = parse_host(
        {
            "version": "2.0",
            "functionTimeout": "00:10:00",
            "extensions": {
                "http": {"routePrefix": "/x/", "customHeaders": {"A": "b"}},
                "queues": {"maxPollingInterval": "00:00:00.5", "batchSize": 8, "messageEncoding": "none"},
                "durableTask": {"hubName": "Hub", "maxConcurrentActivityFunctions": 3, "defaultVersion": "1.0"},
            },
        }
    )
    assert (config.route_prefix, dict(config.custom_headers), config.function_timeout) == (
        "x",
        {"A": "b"},
        timedelta(minutes=10),
    )
    assert config.queues.max_polling_interval == timedelta(milliseconds=500)
    assert (config.queues.batch_size, config.queues.base64) == (8, False)
    assert (config.durable.hub_name, config.durable.max_activities, config.durable.default_version) == ("Hub", 3, "1.0")
    assert config.warnings == ()
    assert parse_host({"version": "2.0", "functionTimeout": "-1"}).function_timeout is None


def test_app_settings_stand_above_host_json_whatever_their_case():
    document = {"version": "2.0", "extensions": {"queues": {"batchSize": 8}}}
    config = parse_host(
        overridden(
            document,
            {
                "AzureFunctionsJobHost__extensions__queues__batchSize": "3",
                "AZUREFUNCTIONSJOBHOST__EXTENSIONS__QUEUES__visibilityTimeout": "00:00:07",
                "AzureFunctionsJobHost__extensions__durableTask__hubName": "Other",
                "AzureFunctionsJobHost__functionTimeout": "-1",
                "UNRELATED__extensions__queues__batchSize": "9",
            },
        )
    )
    assert (config.queues.batch_size, config.queues.visibility_timeout) == (3, timedelta(seconds=7))
    assert (config.durable.hub_name, config.function_timeout) == ("Other", None)
    assert document == {"version": "2.0", "extensions": {"queues": {"batchSize": 8}}}
    with pytest.raises(HostError, match="batchSize must be a whole number"):
        parse_host(overridden(document, {"AzureFunctionsJobHost__extensions__queues__batchSize": "true"}))


def test_sections_that_this_host_does_not_know_are_kept_and_warned_about():
    config = parse_host({"version": "2.0", "singleton": {"a": 1}, "extensions": {"kafka": {}}, "logging": {}})
    assert config.document["singleton"] == {"a": 1}
    assert [warning.split()[3] for warning in config.warnings] == ["singleton", "extensions.kafka"]


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"Values": {"A": 1}}, "the value of A must be a text in quotes"),
        ({"Values": []}, "Values must be an object of texts"),
        ({"IsEncrypted": True}, "is encrypted"),
        ({"Host": {"LocalHttpPort": "x"}}, "Host.LocalHttpPort must be a port number"),
    ],
)
def test_wrong_local_settings_are_refused(document: dict, said: str):
    with pytest.raises(HostError, match=r"^s\.json") as caught:
        parse_local(document, "s.json")
    assert said in str(caught.value)


def test_local_settings_fill_the_environment_and_never_override_it():
    environment = {"A": "real"}
    local = parse_local({"Values": {"A": "file", "B": "file"}, "Host": {"LocalHttpPort": 7072, "CORS": "*"}}, "s.json")
    apply_values(local.values, environment)
    assert (environment["A"], environment["B"], local.port) == ("real", "file", 7072)
    assert "CORS does nothing" in local.warnings[0]
    with pytest.raises(HostError, match="Python function apps only"):
        apply_values({"FUNCTIONS_WORKER_RUNTIME": "node"}, {})


def test_percent_settings_are_resolved_and_a_missing_one_is_named():
    assert resolve("a-%B%-%C%", {"B": "1", "C": "2"}.get, "f: queueName") == "a-1-2"
    assert resolve("100% sure", {}.get, "f") == "100% sure"
    with pytest.raises(HostError, match="f: queueName uses %B%, but no app setting"):
        resolve("%B%", {}.get, "f: queueName")


@pytest.mark.parametrize("name", ["src/app.py", "app.txt", "-app.py", "../app.py", "app.py.bak", ""])
def test_a_script_name_that_the_worker_refuses_is_refused(name: str):
    with pytest.raises(HostError, match="takes a bare file name"):
        script_name({"PYTHON_SCRIPT_FILE_NAME": name})


def http(template: str, *methods: str, disabled: bool = False) -> Function:
    raw = {"route": template, **({"methods": list(methods)} if methods else {})}
    trigger = Binding(name="req", type="httpTrigger", out=False, raw=raw, converter="httpTrigger")
    return Function(
        name="f", call=print, directory="", trigger=trigger, inputs=(trigger,), outputs=(), returned=None,
        is_async=False, wants_context=False, disabled=disabled,
    )  # fmt: skip


def routed(path: str, *templates: str, prefix: str = "") -> tuple[str, dict[str, str]] | None:
    """The template that takes a GET of ``path``, with its values."""
    for route in make_routes([http(template) for template in templates], prefix):
        values = route.match("GET", path)
        if values is not None:
            return route.template, values
    return None


def test_the_most_specific_route_wins_whatever_the_order_of_the_functions():
    templates = ("{*rest}", "a/{x?}", "a/{x}", "a/{x:int}", "a/b")
    for order in (templates, templates[::-1]):
        assert routed("/a/b", *order) == ("a/b", {})
        assert routed("/a/7", *order) == ("a/{x:int}", {"x": "7"})
        assert routed("/a/c", *order) == ("a/{x}", {"x": "c"})
        assert routed("/a", *order) == ("a/{x?}", {})
        assert routed("/", *order) == ("{*rest}", {})
        assert routed("/x/y/z", *order) == ("{*rest}", {"rest": "x/y/z"})


@pytest.mark.parametrize(
    ("constraint", "good", "bad"),
    [
        ("int", "-12", "1.5"),
        ("long", "123456789012", "x"),
        ("guid", "0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b"),
        ("bool", "TRUE", "yes"),
        ("alpha", "abC", "ab1"),
        ("datetime", "2026-01-01T10:00:00", "soon"),
        ("decimal", "1.5", "1,5"),
        ("double", "1e5", "e5"),
        ("length(2,3)", "abc", "abcd"),
        ("minlength(2)", "ab", "a"),
        ("maxlength(2)", "ab", "abc"),
        ("min(5)", "5", "4"),
        ("max(5)", "5", "6"),
        ("range(1,3)", "3", "4"),
        ("int:min(5)", "5", "4"),
    ],
)
def test_a_constraint_takes_and_refuses(constraint: str, good: str, bad: str):
    assert routed(f"/a/{good}", f"a/{{x:{constraint}}}") == (f"a/{{x:{constraint}}}", {"x": good})
    assert routed(f"/a/{bad}", f"a/{{x:{constraint}}}") is None


def test_a_segment_may_mix_literals_and_parameters_and_the_prefix_comes_first():
    assert routed("/api/v1/report-7.csv", "v1/report-{id:int}.{kind}", prefix="api") == (
        "api/v1/report-{id:int}.{kind}",
        {"id": "7", "kind": "csv"},
    )
    assert routed("/v1/report-7.csv", "v1/report-{id:int}.{kind}", prefix="api") is None


@pytest.mark.parametrize("template", ["a/{x", "a/x}", "a/{}", "a/{x:colour}", "a/{x:range(1)}"])
def test_a_template_that_is_no_route_is_refused(template: str):
    with pytest.raises(HostError, match=r"^f: the "):
        make_routes([http(template)], "")


def test_methods_limit_a_route_and_a_disabled_function_has_none():
    [route] = make_routes([http("a", "GET"), http("b", disabled=True)], "")
    assert route.match("GET", "/a") == {}
    assert route.match("POST", "/a") is None
    [route] = make_routes([http("a")], "")
    assert route.match("PATCH", "/A/") == {}


def test_connections_are_found_as_the_host_finds_them():
    found = Connections({"AzureWebJobsStorage": "UseDevelopmentStorage=true", "AzureWebJobsOther": "x", "Plain": "y"})
    assert "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1" in found.text("AzureWebJobsStorage")
    assert found.text("Storage") == found.text("AzureWebJobsStorage")
    assert (found.text("Other"), found.text("Plain")) == ("x", "y")
    with pytest.raises(HostError, match="The setting Nothing holds no storage connection string"):
        found.text("Nothing")


@pytest.mark.parametrize(
    ("level", "opened_by"),
    [("anonymous", "-msf"), ("function", "mf"), ("system", "ms"), ("admin", "m")],
)
def test_each_level_opens_to_its_keys_only(level, opened_by: str):
    keys = Keys(master="m", function="f", system="s")
    assert {given for given in "-msf" if keys.allows(level, given)} == set(opened_by)
    assert keys.allows(level, None) is (level == "anonymous")
    assert keys.allows(level, "ü") is (level == "anonymous")
    assert "'m'" not in repr(keys)


def test_a_function_without_a_level_asks_for_a_function_key():
    assert [level_of(text) for text in (None, "ANONYMOUS", "FUNCTION", "ADMIN")] == [
        "function",
        "anonymous",
        "function",
        "admin",
    ]


def test_keys_come_from_the_settings_or_stay_in_the_state(tmp_path: Path):
    state = StateFile(tmp_path / "s.db")
    first = load_keys(state, {"LOCAL_HOST_FUNCTION_KEY": "mine"}, enforced=True)
    state.close()
    state = StateFile(tmp_path / "s.db")
    second = load_keys(state, {}, enforced=True)
    state.close()
    assert first.function == "mine"
    assert second.master == first.master
    assert len({second.master, second.function, second.system}) == 3


def test_an_empty_queue_is_asked_less_and_less_often_up_to_the_limit():
    backoff = Backoff(timedelta(seconds=2), lambda low, high: (low + high) / 2)
    waits = [backoff.after(found=False).total_seconds() for _ in range(7)]
    assert waits == pytest.approx([0.2, 0.3, 0.5, 0.9, 1.7, 2.0, 2.0])
    assert backoff.after(found=True) == FIRST
    assert backoff.after(found=False).total_seconds() == pytest.approx(0.2)


@given(st.integers(100, 60_000), st.randoms())
def test_the_back_off_never_leaves_its_bounds(longest: int, random):
    limit = timedelta(milliseconds=longest)
    backoff = Backoff(limit, random.uniform)
    waits = [backoff.after(found=False) for _ in range(20)]
    assert all(FIRST <= wait <= max(limit, FIRST) for wait in waits)
    assert waits[-1] == limit


@pytest.mark.parametrize(
    ("datum", "sent"),
    [
        (meta.Datum("text", "string"), [b"text"]),
        (meta.Datum(b"\x00", "bytes"), [b"\x00"]),
        (meta.Datum(json.dumps(["a", {"id": None, "body": "b"}]), "json"), [b"a", b"b"]),
        (meta.Datum(json.dumps({"id": None, "body": "b"}), "json"), [b"b"]),
    ],
)
def test_queue_outputs_become_one_message_each(datum: meta.Datum, sent: list[bytes]):
    assert list(bodies(datum)) == sent


def test_a_thread_that_hangs_is_replaced_and_leaves_when_it_comes_back():
    pool, gate = ThreadPool(1), threading.Event()
    names: list[str] = []
    started = threading.Event()

    def hang() -> str:
        started.set()
        gate.wait(10)
        return "late"

    stuck: Future[str] = pool.submit(hang)
    assert started.wait(10)
    pool.write_off(stuck)
    assert pool.submit(lambda: "next").result(10) == "next"
    gate.set()
    assert stuck.result(10) == "late"
    for _ in range(20):
        pool.submit(lambda: names.append(str(threading.get_ident()))).result(10)
    assert len(set(names)) == 1, "the pool is as large as it was"
    pool.write_off(stuck)  # it has ended: nothing to replace
    pool.close()


def test_a_log_line_shows_the_fields_behind_its_message():
    record = logging.makeLogRecord(
        {"msg": "graph %s", "args": ("request",), "levelname": "INFO", "name": "x", "status": 200, "action": 'a "b"'}
    )
    line = Formatter("%(levelname)s %(name)s %(message)s").format(record)
    assert line == 'INFO x graph request status=200 action="a \\"b\\""'


def test_the_clock_goes_forward_only():
    clock = Clock()
    before = clock.now()
    clock.advance(timedelta(days=1))
    assert clock.now() - before >= timedelta(days=1)
    with pytest.raises(ValueError, match="cannot go back"):
        clock.advance(timedelta(seconds=-1))


@given(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))
def test_moments_compare_as_their_texts_do(one: datetime, other: datetime):
    first, second = one.replace(tzinfo=UTC), other.replace(tzinfo=UTC)
    assert (iso(first) < iso(second)) == (first < second)
    assert parse_iso(iso(first)) == first
    assert parse_iso(first.strftime("%Y-%m-%dT%H:%M:%S.%fZ")) == first
