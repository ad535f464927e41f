"""Free loopback ports, each given to one process only, and kept for it."""

import atexit
import random
import socket
from pathlib import Path

_KERNELS_OWN = Path("/proc/sys/net/ipv4/ip_local_port_range")
_IANAS = (49_152, 65_535)
_FIRST = 10_000
_ENOUGH = 1_000

_claims: dict[int, socket.socket] = {}
"""For as long as this process lives. A claim is a UDP socket of the same number: servers of TCP do not mind it."""


@atexit.register
def _let_go() -> None:
    while _claims:
        _claims.popitem()[1].close()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port(preferred: int | None = None) -> int:
    """The preferred port if it is free, else any. No other process is given it while this one lives, so a server may come to
    it late, or end and come back.

    It is not one of those that the kernel gives to connections: one of them could sit on it before the server does."""
    if preferred is not None and is_free(preferred) and _claimed(preferred):
        return preferred
    among, chance = _ports(), random.SystemRandom()
    while True:
        port = chance.choice(among)
        if port not in _claims and is_free(port) and _claimed(port):
            return port


def _claimed(port: int) -> bool:
    """Whether it is ours, now or already."""
    if port in _claims:
        return True
    claim = socket.socket(type=socket.SOCK_DGRAM)
    try:
        claim.bind(("127.0.0.1", port))
    except OSError:
        claim.close()
        return False
    _claims[port] = claim
    return True


def _ports() -> range:
    try:
        first, last = map(int, _KERNELS_OWN.read_text(encoding="ascii").split())
    except (OSError, ValueError):  # no Linux
        first, last = _IANAS
    below, above = range(_FIRST, first), range(last + 1, 65_536)
    widest = max(below, above, key=len)
    return widest if len(widest) >= _ENOUGH else range(_FIRST, 65_536)


def answers(port: int) -> bool:
    """Whether something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
