"""The connection test says who answers, and each way of failing in its own sentence."""

import socket
from contextlib import closing
from datetime import timedelta

import pytest

from infra.local.ports import free_port
from shared.adapters.postgres import health
from shared.adapters.postgres.address import Address, Limits, TlsMode
from shared.adapters.postgres.health import check_health
from shared.core.errors import ConfigurationError, SourceUnavailable, SyncError
from tests.integration.postgres.conftest import address_of, admit_all


def changed(dsn: str, **changes: object) -> Address:
    of = address_of(dsn)
    parts = {name: getattr(of, name) for name in ("host", "port", "dbname", "user", "tls", "password")}
    return Address(**(parts | changes))


def test_a_healthy_server_says_its_version_role_and_speed(pg_dsn, source):
    laps = iter([0.0, 0.5, 1.0, 1.25, 2.0, 2.75])
    found = check_health(address_of(pg_dsn), admit=admit_all, stopwatch=lambda: next(laps))
    assert found.major == source.admin.info.server_version // 10_000
    assert found.version.startswith(str(found.major))
    assert (found.standby, found.encrypted, found.server_encoding, found.wal_level) == (False, False, "UTF8", "logical")
    assert found.latency == 0.25


@pytest.mark.parametrize(
    ("changes", "kind", "code", "words"),
    [
        ({"user": "nobody_here"}, ConfigurationError, "login_refused", "the password or the token is wrong"),
        ({"dbname": "nothing here"}, ConfigurationError, "no_database", "there is no database nothing here"),
        ({"tls": TlsMode.REQUIRE}, ConfigurationError, "tls_unsupported", "offers no encryption"),
        ({"tls": TlsMode.VERIFY_FULL}, ConfigurationError, "tls_unsupported", "offers no encryption"),
        ({"host": "nosuch.invalid"}, SourceUnavailable, "unknown_host", "nosuch.invalid is not known here"),
        ({"port": "free"}, SourceUnavailable, "connection_refused", "nothing accepts connections"),
        ({"password": lambda: None}, ConfigurationError, "login_refused", "the password or the token is wrong"),
    ],
    ids=["user", "database", "tls", "verify", "host", "port", "password"],
)
def test_each_failure_has_its_own_sentence(pg_dsn, changes, kind, code, words):
    if changes.get("port") == "free":
        changes = {"port": free_port()}
    with pytest.raises(kind, match=words) as raised:
        check_health(changed(pg_dsn, **changes), admit=admit_all)
    assert raised.value.code == code
    assert raised.value.__cause__ is None


def test_a_database_that_may_not_be_connected_to_says_the_grant(pg_dsn, source):
    role, name = f"shut_{source.database.address.dbname}", source.database.address.dbname
    source.run(f"create role {role} login password 'pw'", f'revoke connect on database "{name}" from public')
    try:
        with pytest.raises(ConfigurationError, match="grant connect on the database"):
            check_health(address_of(pg_dsn, user=role, password="pw"), admit=admit_all)
    finally:
        source.run(f"drop role {role}")


def test_a_server_that_never_answers_is_given_up(pg_dsn):
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        where = changed(pg_dsn, port=silent.getsockname()[1])
        with pytest.raises(SourceUnavailable) as raised:
            check_health(where, admit=admit_all, limits=Limits(connect=timedelta(seconds=2)))
        assert raised.value.code in {"connect_timeout", "no_connection"}


def test_a_server_too_old_for_stamps_is_refused(pg_dsn, monkeypatch):
    monkeypatch.setattr(health, "OLDEST", 99)
    with pytest.raises(ConfigurationError, match="upgrade the server"):
        check_health(address_of(pg_dsn), admit=admit_all)


def test_no_sentence_holds_the_password(pg_dsn):
    for changes in ({"dbname": "x"}, {"tls": TlsMode.REQUIRE}, {"user": "y"}):
        where = changed(pg_dsn, **changes)
        with pytest.raises(SyncError) as raised:
            check_health(where, admit=admit_all)
        password = where.password()
        assert password is not None
        assert password.reveal() not in str(raised.value) + repr(where)
