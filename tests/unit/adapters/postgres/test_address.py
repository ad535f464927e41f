"""An address is a host, a port, a database and a user; nothing else reaches libpq, whatever its parts say."""

import string

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from shared.adapters.postgres.address import Address, Limits, TlsMode, connection_arguments
from shared.adapters.postgres.connection import SourceDatabase, require_fast_driver
from shared.adapters.postgres.refusals import explain_refusal
from shared.adapters.secrets import Secret
from shared.core.errors import ConfigurationError, InvariantViolated, SourceUnavailable

ALLOWED_KEYS = {
    *("host", "port", "dbname", "user", "password", "sslmode", "sslrootcert", "connect_timeout", "application_name"),
    *("client_encoding", "options", "gssencmode", "keepalives_idle", "keepalives_interval", "keepalives_count"),
    *("hostaddr", "tcp_user_timeout"),
}


def address(**changes) -> Address:
    return Address(**{"host": "db.example.org", "dbname": "app", "user": "reader"} | changes)


def arguments(of: Address, **changes) -> dict:
    return connection_arguments(of, **{"admit": lambda host, port: None} | changes)


@pytest.mark.parametrize(
    "host", ["db.example.org", "db", "10.0.0.7", "::1", "2001:db8::7", "a_b-c.d", "xn--bcher-kva.example"]
)
def test_names_and_addresses_are_hosts(host):
    assert address(host=host).host == host


@pytest.mark.parametrize(
    "host",
    [
        *(
            "",
            " ",
            "a b",
            "a,b",
            "db.example.org,169.254.169.254",
            "/var/run/postgresql",
            "@abstract",
            "./x",
            "..",
            "a..b",
        ),
        *("user@db", "db:5433", "[::1]", "postgresql://db", "db?options=x", "db/x", "db#x", "db%2e", "fe80::1%eth0"),
        *("2130706433", "0x7f000001", "0x7f.0.0.1", "017700000001", "0177.0.0.1", "127.1", "127.0.1", "256.1.1.1"),
        *("0x7F", "1", "10.0.0.7.", "a'b", 'a"b', "a\\b", "a\0b", "a\nb", "ｄb", "db。example", "١٢٧.0.0.1", "a" * 64),
        "a." * 127 + "ab",
    ],
)
def test_other_spellings_of_a_host_are_refused(host):
    with pytest.raises(ConfigurationError, match="the host is one name") as raised:
        address(host=host)
    assert raised.value.code == "database_address"


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_outside_its_range_is_refused(port):
    with pytest.raises(ConfigurationError, match="1 to 65535"):
        address(port=port)


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "é" * 32, "\ud800"])
def test_impossible_names_are_refused_with_all_problems_at_once(name):
    with pytest.raises(ConfigurationError) as raised:
        address(dbname=name, user=name)
    assert len(raised.value.problems) == 2


@given(dbname=st.text(min_size=1, max_size=40), user=st.text(min_size=1, max_size=40), password=st.text(max_size=60))
def test_only_the_fixed_keys_reach_libpq_whatever_the_parts_say(dbname, user, password):
    try:
        where = address(dbname=dbname, user=user, password=lambda: Secret(password))
    except ConfigurationError:
        return
    made = arguments(where)
    assert set(made) <= ALLOWED_KEYS
    if "\0" in password or any("\ud800" <= c <= "\udfff" for c in password):
        return
    parsed = conninfo_to_dict(make_conninfo("", **made))
    assert (parsed["host"], parsed["dbname"], parsed["user"]) == ("db.example.org", dbname, user)
    assert parsed.get("options") == ""
    assert "service" not in parsed
    assert parsed["password"] == password


@pytest.mark.parametrize(
    "evil", ["app options=-crow_security=on", "x' service='evil", "postgresql://elsewhere/app", "a sslkey=/etc/passwd"]
)
def test_a_name_that_looks_like_options_stays_a_name(evil):
    parsed = conninfo_to_dict(make_conninfo("", **arguments(address(dbname=evil, user=evil))))
    assert parsed["dbname"] == parsed["user"] == evil
    assert parsed["host"] == "db.example.org"
    assert parsed["options"] == ""
    assert not {"service", "sslkey"} & set(parsed)


def test_the_admission_decides_before_anything_else_and_may_pin_an_address():
    seen = []

    def admit(host, port):
        seen.append((host, port))
        return "192.0.2.7"

    assert arguments(address(port=6432), admit=admit)["hostaddr"] == "192.0.2.7"
    assert seen == [("db.example.org", 6432)]


def test_a_host_that_is_not_admitted_is_never_connected_to(monkeypatch):
    def refuse(host, port):
        raise ConfigurationError(f"{host} is not on the list")

    monkeypatch.setattr(psycopg, "connect", lambda *a, **k: pytest.fail("connected"))
    with pytest.raises(ConfigurationError, match="not on the list"):
        arguments(address(), admit=refuse)


@pytest.mark.parametrize("tls", TlsMode)
def test_certificates_are_checked_against_a_bundle_where_they_are_checked(tls):
    made = arguments(address(tls=tls))
    assert made["sslmode"] == tls.value
    assert ("sslrootcert" in made) == (tls in {TlsMode.VERIFY_CA, TlsMode.VERIFY_FULL})


def test_verify_full_is_the_default_and_the_deployment_may_bring_its_own_bundle():
    assert address().tls is TlsMode.VERIFY_FULL
    assert arguments(address(), root_certificates="/certs/ours.pem")["sslrootcert"] == "/certs/ours.pem"


def test_the_password_is_asked_at_each_connection_and_never_printed():
    passwords = iter([Secret("first-one"), Secret("second-one")])
    where = address(password=lambda: next(passwords))
    assert [arguments(where)["password"] for _ in range(2)] == ["first-one", "second-one"]
    assert "first-one" not in repr(where)


def test_without_a_password_none_is_sent():
    assert "password" not in arguments(address())


def test_limits_are_positive_spans_that_libpq_understands():
    assert arguments(address(), limits=Limits())["connect_timeout"] == 10


def test_the_slow_driver_is_refused_at_once(monkeypatch):
    monkeypatch.setattr("psycopg.pq.__impl__", "python")
    with pytest.raises(InvariantViolated, match=r"psycopg\[binary\]"):
        require_fast_driver()
    with pytest.raises(InvariantViolated):
        SourceDatabase(address(), admit=lambda host, port: None)


@pytest.mark.parametrize(
    ("said", "code", "passes"),
    [
        ('FATAL:  password authentication failed for user "reader"', "login_refused", False),
        ("fe_sendauth: no password supplied", "login_refused", False),
        ('FATAL:  role "reader" does not exist', "login_refused", False),
        ('FATAL:  database "app" does not exist', "no_database", False),
        ('FATAL:  permission denied for database "app"', "connect_denied", False),
        (
            'FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "r", database "d", no encryption',
            "tls_required",
            False,
        ),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "r", database "d", SSL off', "tls_required", False),
        ('FATAL:  no pg_hba.conf entry for host "1.2.3.4", user "r", database "d"', "login_refused", False),
        ("server does not support SSL, but SSL was required", "tls_unsupported", False),
        ("SSL error: certificate verify failed", "tls_untrusted", False),
        ('server certificate for "x" does not match host name "y"', "tls_untrusted", False),
        ("failed to resolve host 'db.example.org': [Errno -2] Name or service not known", "unknown_host", True),
        ("connection to server failed: Connection refused", "connection_refused", True),
        ("FATAL:  sorry, too many clients already", "too_many_connections", True),
        ("FATAL:  remaining connection slots are reserved for roles with SUPERUSER", "too_many_connections", True),
        ("FATAL:  the database system is starting up", "starting_up", True),
        ("connection timeout expired", "connect_timeout", True),
        ("FATAL: etwas anderes", "no_connection", True),
    ],
)
def test_each_refusal_has_its_sentence_and_says_whether_it_may_pass(said, code, passes):
    made = explain_refusal(psycopg.OperationalError(f"connection failed: {said}"), address())
    assert made.code == code
    assert isinstance(made, SourceUnavailable if passes else ConfigurationError)
    assert said not in made.message
    assert set(made.message) & set(string.ascii_letters)
