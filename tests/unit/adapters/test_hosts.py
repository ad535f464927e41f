"""Which hosts a database may be on."""

import pytest

from shared.adapters.hosts import HostRules
from shared.core.errors import ConfigurationError, SourceUnavailable


def rules(*allowed: str, **names: list[str]) -> HostRules:
    def resolve(host: str, port: int) -> list[str]:
        if host not in names:
            raise OSError("no such host")
        return names[host]

    return HostRules(allowed=allowed, resolve=resolve)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "10.0.0.5",
        "172.16.1.1",
        "192.168.1.1",
        "169.254.169.254",
        "fe80::1%eth0",
        "fd00::1",
        "0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.5",
        "100.64.0.1",
        "224.0.0.1",
        "ff02::1",
    ],
)
def test_an_address_that_is_not_public_is_refused_whatever_name_it_goes_by(address):
    with pytest.raises(ConfigurationError, match="SYNCBRIDGE_ALLOWED_HOSTS"):
        rules(db=[address]).admit("db", 5432)


def test_one_private_address_among_public_ones_is_enough_to_refuse():
    with pytest.raises(ConfigurationError):
        rules(db=["20.50.1.1", "10.0.0.5"]).admit("db", 5432)


def test_a_public_name_is_pinned_to_the_address_that_was_looked_at():
    assert rules(db=["20.50.1.1"]).admit("db", 5432) == "20.50.1.1"


@pytest.mark.parametrize("allowed", ["127.0.0.1", "127.0.0.1:5432"])
def test_a_listed_host_is_admitted(allowed):
    assert rules(allowed).admit("127.0.0.1", 5432) is None


def test_a_host_that_is_listed_with_another_port_is_refused():
    with pytest.raises(ConfigurationError):
        rules("localhost:5433", localhost=["127.0.0.1"]).admit("LOCALHOST".lower(), 5432)


def test_a_name_without_an_address_says_so():
    with pytest.raises(SourceUnavailable, match="check its name"):
        rules().admit("nowhere", 5432)


def test_the_listed_hosts_names_leave_ports_out():
    assert {"127.0.0.1", "db.internal", "::1"} == rules("127.0.0.1:5432", "db.internal", "::1").names
