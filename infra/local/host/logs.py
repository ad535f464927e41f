"""Log lines of the host: an action and its fields, never a payload, never a key."""

import json
import logging
import sys
import time
import traceback


class _Formatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def configure(*, verbose: bool) -> None:
    """Sends everything to stderr. ``verbose`` adds the stacks, and thereby the texts, of failed invocations."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("localhost").setLevel(logging.DEBUG if verbose else logging.INFO)
    for noisy in ("azure", "aiohttp", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def say(logger: logging.Logger, level: int, action: str, **fields: object) -> None:
    """``action=invocation.failed function="x" ms=12``"""
    pairs = " ".join(f"{name}={json.dumps(value, default=str)}" for name, value in fields.items() if value is not None)
    logger.log(level, "action=%s %s", action, pairs)


def origin(error: BaseException) -> str:
    """Where an error was raised, as ``file.py:12 in name``: enough to find it, without any value in it."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} in {last.name}"
