"""Which hosts databases may be on: public names, and whatever the operator lists.

Without this a definition's author could make the app connect to whatever it can reach: loopback, the platform's
metadata endpoint, neighbours in the network.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from shared.core.errors import ConfigurationError, SourceUnavailable

Resolve = Callable[[str, int], Iterable[str]]
"""Host and port -> IP addresses as texts. Raises OSError."""


def _resolve(host: str, port: int) -> Iterable[str]:
    return [str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRules:
    """`allowed`: hosts in lower case, with or without a port (`10.0.0.5`, `db.internal:5432`)."""

    allowed: tuple[str, ...] = ()
    resolve: Resolve = field(default=_resolve)

    def admit(self, host: str, port: int) -> str | None:
        """None for a listed host. Else the public address it has now, which the connection is pinned to, so that the
        name cannot come to mean another address between this look and the connection."""
        name = host.lower()
        if name in self.allowed or f"{name}:{port}" in self.allowed:
            return None
        try:
            addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in self.resolve(host, port)]
        except OSError:
            raise SourceUnavailable(f"the host {host} has no address: check its name", code="unknown_host") from None
        mapped = [getattr(address, "ipv4_mapped", None) or address for address in addresses]
        if not mapped or not all(address.is_global and not address.is_multicast for address in mapped):
            raise ConfigurationError(
                f"{host} is a loopback, link-local or private address: add it to SYNCBRIDGE_ALLOWED_HOSTS if the "
                "database is meant to be there",
                code="host_not_allowed",
            )
        return str(addresses[0])

    @property
    def names(self) -> frozenset[str]:
        """The listed hosts without ports."""
        return frozenset(entry.rpartition(":")[0] if _has_port(entry) else entry for entry in self.allowed)


def _has_port(entry: str) -> bool:
    host, colon, port = entry.rpartition(":")
    return bool(colon) and port.isdigit() and ":" not in host
