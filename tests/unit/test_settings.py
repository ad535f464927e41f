"""The app's settings: read once, with every problem at once, and no value in an error."""

import base64
from datetime import timedelta

import pytest

from shared.core.errors import ConfigurationError
from shared.settings import DECLARED, from_env

KEY = base64.b64encode(bytes(range(32))).decode()
LEAST = {"SYNCBRIDGE_METASTORE_DSN": "postgresql://app:hunter2@db/meta"}
NUMBERS = [setting.name for setting in DECLARED if setting.kind in (int, float)]
SECRETS = [setting.name for setting in DECLARED if setting.secret]


def read(**more):
    return from_env({**LEAST, **more})


def problems(**more):
    with pytest.raises(ConfigurationError) as caught:
        read(**more)
    return caught.value.problems


def test_only_the_metastore_has_to_be_named():
    settings = read()
    assert settings.metastore_dsn == LEAST["SYNCBRIDGE_METASTORE_DSN"]
    assert settings.secret_key == b""
    assert settings.allowed_hosts == ()
    assert [setting.name for setting in DECLARED if setting.default is None] == ["SYNCBRIDGE_METASTORE_DSN"]


def test_every_setting_reaches_the_settings():
    settings = read(
        SYNCBRIDGE_SECRET_KEY=KEY,
        SYNCBRIDGE_KEY_VAULT_URL="https://v.vault.azure.net",
        SYNCBRIDGE_QUEUE_CONNECTION="queue",
        SYNCBRIDGE_QUEUE_CONNECTION__queueServiceUri="https://account.queue.core.windows.net",
        SYNCBRIDGE_WEBHOOK_URL="https://app.example.org/",
        SYNCBRIDGE_ALLOWED_HOSTS=" 10.0.0.5, DB.internal:5432 ,",
        SYNCBRIDGE_COMPANY="Acme",
        SYNCBRIDGE_QUEUE_DEPTH="5",
        SYNCBRIDGE_HEALTH_ADDRESS="0.0.0.0:9000",
        SYNCBRIDGE_LEASE_SECONDS="60.5",
        SYNCBRIDGE_REQUEST_SECONDS="20",
        SYNCBRIDGE_SURFACE_SECONDS="30",
        SYNCBRIDGE_ACTIVITY_SECONDS="40",
        SYNCBRIDGE_PAGE_SIZE="50",
        SYNCBRIDGE_POOL_SIZE="3",
        SYNCBRIDGE_TICK_SCHEDULE="0 * * * * *",
        SYNCBRIDGE_RETAIN_RUNS_DAYS="1",
        SYNCBRIDGE_RETAIN_HISTORY_DAYS="4",
        SYNCBRIDGE_RETAIN_CONFLICTS_DAYS="2",
        SYNCBRIDGE_RETAIN_TOMBSTONES_DAYS="3",
    )
    assert settings.secret_key == bytes(range(32))
    assert (settings.key_vault_url, settings.queue_connection) == ("https://v.vault.azure.net", "queue")
    assert settings.webhook_url == "https://app.example.org"
    assert settings.queue_service == "https://account.queue.core.windows.net"
    assert settings.allowed_hosts == ("10.0.0.5", "db.internal:5432")
    assert (settings.company, settings.page_size, settings.pool_size) == ("Acme", 50, 3)
    assert (settings.lease, settings.request_timeout) == (timedelta(seconds=60.5), timedelta(seconds=20))
    assert (settings.surface, settings.activity) == (timedelta(seconds=30), timedelta(seconds=40))
    assert settings.tick_schedule == "0 * * * * *"
    assert (settings.queue_depth, settings.health_address) == (5, ("0.0.0.0", 9000))
    kept = (settings.retain_runs, settings.retain_conflicts, settings.retain_tombstones, settings.retain_history)
    assert kept == (timedelta(days=1), timedelta(days=2), timedelta(days=3), timedelta(days=4))


@pytest.mark.parametrize("setting", DECLARED, ids=lambda setting: setting.name)
def test_an_empty_value_is_as_good_as_none(setting):
    if setting.default is None:
        assert problems(**{setting.name: ""}) == (f"{setting.name} is not set: {setting.meaning}",)
    else:
        assert read(**{setting.name: ""}) == read()


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("text", ["x1y2", "0", "-5", "nan", "inf", "10000000", "1e99"])
def test_a_number_that_cannot_be_is_refused_by_name_and_its_text_is_not_shown(name, text):
    (problem,) = problems(**{name: text})
    assert problem.startswith(f"{name} cannot be used: ")
    assert text not in problem.removeprefix(f"{name} cannot be used: ") or text == "0"


@pytest.mark.parametrize(
    "text", ["not base64 at all!", base64.b64encode(b"short").decode(), KEY[:-4], base64.b64encode(bytes(64)).decode()]
)
def test_a_key_that_is_not_32_bytes_is_refused_and_not_shown(text):
    (problem,) = problems(SYNCBRIDGE_SECRET_KEY=text)
    assert problem == "SYNCBRIDGE_SECRET_KEY cannot be used: it is base64 of 32 bytes"


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"SYNCBRIDGE_LEASE_SECONDS": "100", "SYNCBRIDGE_REQUEST_SECONDS": "51"}, "at least twice"),
        ({"SYNCBRIDGE_SURFACE_SECONDS": "79"}, "cannot be shorter"),
        ({"SYNCBRIDGE_QUEUE_CONNECTION__queueServiceUri": "http://account.queue.core.windows.net"}, "https URL"),
        ({"SYNCBRIDGE_QUEUE_CONNECTION__queueServiceUri": "https://account.queue.core.windows.net/q?x"}, "https URL"),
        ({"SYNCBRIDGE_HEALTH_ADDRESS": "8080"}, "IP address and a port"),
        ({"SYNCBRIDGE_WEBHOOK_URL": "http://app.example.org"}, "https URL"),
        ({"SYNCBRIDGE_WEBHOOK_URL": "https://app.example.org/api"}, "https URL"),
    ],
    ids=["lease", "surface", "plain http", "path", "health", "webhook without tls", "webhook with a path"],
)
def test_settings_that_contradict_each_other_are_refused(more, named):
    (problem,) = problems(**more)
    assert named in problem
    assert set(more) & {word.rstrip(".") for word in problem.split()}


@pytest.mark.parametrize("url", ["http://127.0.0.1:7071", "http://localhost:7071/"])
def test_on_this_machine_the_webhook_may_go_without_tls(url):
    assert read(SYNCBRIDGE_WEBHOOK_URL=url).webhook_url == url.rstrip("/")


def test_a_lease_of_exactly_two_requests_is_enough():
    assert read(SYNCBRIDGE_LEASE_SECONDS="160", SYNCBRIDGE_REQUEST_SECONDS="80").lease == timedelta(seconds=160)


def test_all_problems_come_at_once():
    with pytest.raises(ConfigurationError) as caught:
        from_env({"SYNCBRIDGE_PAGE_SIZE": "many", "SYNCBRIDGE_SECRET_KEY": "s3cr3t"})
    assert len(caught.value.problems) == 3
    for name in ("SYNCBRIDGE_METASTORE_DSN", "SYNCBRIDGE_PAGE_SIZE", "SYNCBRIDGE_SECRET_KEY"):
        assert name in caught.value.message
    assert "s3cr3t" not in caught.value.message


def test_secrets_are_not_in_the_text_of_the_settings():
    shown = repr(read(SYNCBRIDGE_SECRET_KEY=KEY, SYNCBRIDGE_QUEUE_CONNECTION="AccountKey=hunter3"))
    assert "hunter" not in shown
    assert repr(bytes(range(32))) not in shown
    assert set(SECRETS) == {"SYNCBRIDGE_METASTORE_DSN", "SYNCBRIDGE_SECRET_KEY", "SYNCBRIDGE_QUEUE_CONNECTION"}
