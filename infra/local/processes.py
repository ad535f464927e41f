"""Child processes of the local stack: started on a leash, watched, stopped, and never left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from infra.local.errors import LocalStackError

_LEASH = Path(__file__).with_name("leash.py")
_POLL_SECONDS = 0.01
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The user and group a child runs as."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A running child: its process, its log file, and the signal that ends it in good order."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    stop_signal: signal.Signals

    @property
    def exit_code(self) -> int | None:
        """The exit code (negative: the number of the signal that ended it), or None while it runs."""
        return self.process.poll()

    def last_lines(self, count: int = 15) -> str:
        """The end of its log, at most `count` lines."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-count:])

    def stop(self, grace_seconds: float = 15.0) -> None:
        """End it in good order; after the grace, by force. Stopping twice is harmless."""
        if self.process.poll() is None:
            self.process.send_signal(self.stop_signal)
            try:
                self.process.wait(grace_seconds)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def spawn(
    name: str,
    command: Sequence[str | Path],
    *,
    log: Path,
    cwd: Path = Path("/"),
    env: Mapping[str, str] | None = None,
    account: Account | None = None,
    stop_signal: signal.Signals = signal.SIGTERM,
    keep_open: Sequence[int] = (),
) -> Child:
    """Start a command in a session of its own; its output goes to the end of `log`.

    It inherits the file descriptors `keep_open` and no other.

    It gets `stop_signal` when the calling thread's process ends for any reason (the kernel ties the leash to the
    thread, so call this from a thread that lives as long as the child should).
    """
    uid, gid = ("-", "-") if account is None else (str(account.uid), str(account.gid))
    leash = [sys.executable, "-IS", str(_LEASH), str(os.getpid()), str(int(stop_signal)), uid, gid, "--"]
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as output:
        process = subprocess.Popen(
            [*leash, *map(str, command)],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=keep_open,
        )
    return Child(name=name, process=process, log=log, stop_signal=stop_signal)


def wait_until(
    child: Child,
    ready: Callable[[], T | None],
    *,
    seconds: float = 30.0,
) -> T:
    """Poll `ready` until it answers something.

    Raises LocalStackError with the end of the child's log when the child ends first or the time is over; the child
    is stopped then.
    """
    deadline = time.monotonic() + seconds
    while True:
        ended = child.exit_code
        if (answer := ready()) is not None:
            return answer
        if ended is not None:
            raise LocalStackError(
                f"{child.name} ended at once with exit code {ended}. Its last words:\n{child.last_lines()}"
            )
        if time.monotonic() > deadline:
            child.stop()
            raise LocalStackError(
                f"{child.name} was not ready within {seconds:.0f} s. Its last words:\n{child.last_lines()}"
            )
        time.sleep(_POLL_SECONDS)
