"""The simulated SharePoint as a child process."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes import Child, spawn, wait_until

ROOT = Path(__file__).parents[2]
_READY = "READY "


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulator:
    """A running simulator: Graph, the token endpoint and the people's pages live below `url`."""

    child: Child
    url: str
    data: Path

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.url.rsplit(":", 1)[1].rstrip("/"))

    def stop(self) -> None:
        """End it; its data stays."""
        self.child.stop()


def start(
    data: Path, *, port: int = 0, log: Path | None = None, options: Sequence[str] = (), keep_open: tuple[int, ...] = ()
) -> Simulator:
    """Start `python -m infra.simulator` with its data in `data`; port 0 lets the kernel choose."""
    data.mkdir(parents=True, exist_ok=True)
    log = log or data / "log"
    log.write_bytes(b"")  # so that a READY line is this process' own
    command = [sys.executable, "-m", "infra.simulator", "--port", str(port), "--data", str(data), *options]
    child = spawn("The simulator", command, log=log, cwd=ROOT, keep_open=keep_open)

    def url() -> str | None:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        said = (line for line in lines if line.startswith(_READY) and line.endswith("\n"))
        return next((line.removeprefix(_READY).strip() for line in said), None)

    return Simulator(child=child, url=wait_until(child, url), data=data)
