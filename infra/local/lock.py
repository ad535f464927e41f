"""One stack per data directory."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from infra.local.errors import LocalStackError

_PATIENCE_SECONDS = 15.0


@contextmanager
def locked(directory: Path) -> Iterator[int]:
    """Hold the directory; yields the lock's file descriptor, which the stack's children are to inherit.

    The lock is free when its last holder is gone. So when a supervisor was killed, this waits until its children have
    ended too. Raises LocalStackError if another stack runs on the directory.
    """
    path = directory / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not _try_lock(descriptor):
            holder = path.read_text(encoding="ascii").strip()
            if _runs(holder) or time.monotonic() > deadline:
                raise LocalStackError(
                    f"A stack already runs on {directory} (process {holder}): "
                    f"stop it first, with Ctrl-C or `kill {holder}`."
                )
            time.sleep(0.05)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _runs(holder: str) -> bool:
    if not holder:
        return False
    try:
        os.kill(int(holder), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
