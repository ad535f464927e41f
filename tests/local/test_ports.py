import json
import socket
import subprocess
import sys

from infra.local import ports

ASK = "import json, sys; from infra.local.ports import free_port; print(free_port(int(sys.argv[1])))"


def asked_elsewhere(preferred: int) -> int:
    """What another process is given."""
    done = subprocess.run([sys.executable, "-c", ASK, str(preferred)], capture_output=True, text=True, check=True)
    return int(json.loads(done.stdout))


def test_a_port_stays_with_the_process_that_asked_for_it_although_nobody_listens_there_yet():
    port = ports.free_port()
    assert ports.free_port(port) == port
    assert asked_elsewhere(port) != port


def test_no_port_is_given_twice():
    given = [ports.free_port() for _ in range(50)]
    assert len(set(given)) == 50


def test_a_taken_port_is_not_given_although_it_is_preferred():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert ports.free_port(taken.getsockname()[1]) != taken.getsockname()[1]


def test_the_ports_that_the_kernel_gives_to_connections_are_left_to_them(monkeypatch, tmp_path):
    for first, last in ((32_768, 60_999), (11_000, 50_000)):
        (tmp_path / "range").write_text(f"{first}\t{last}\n")
        monkeypatch.setattr(ports, "_KERNELS_OWN", tmp_path / "range")
        assert not first <= ports.free_port() <= last
    (tmp_path / "range").write_text("1024\t65535\n")
    assert ports.free_port() > 0
    monkeypatch.setattr(ports, "_KERNELS_OWN", tmp_path / "none")
    assert ports.free_port() < 49_152
