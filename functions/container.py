"""The one engine of this process: built at its first use from the environment, shared by all functions."""

import gc
import os
import threading

from shared.engine import Engine
from shared.settings import from_env

_lock = threading.Lock()
_engine: Engine | None = None


def engine() -> Engine:
    """Raises ConfigurationError that names every missing setting."""
    global _engine  # noqa: PLW0603  a process has one; whatever starts first builds it
    if _engine is None:
        with _lock:
            if _engine is None:
                built = Engine.from_settings(from_env(os.environ))
                built.open()
                _engine = built
                # Libraries and engine stay for good. Without this every full collection walks through them, and whoever waits
                # for an answer waits for it (a fifth of a second, measured).
                gc.freeze()
    return _engine
