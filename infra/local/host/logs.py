"""Log lines of the host: an action and its fields, never a payload, never a key."""

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Formatter(logging.Formatter):
    """One line, with what user code put into ``extra`` behind its message, as OpenTelemetry would export it."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  the standard library's name
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return " ".join([super().formatMessage(record), *_pairs(extra)])


def configure(*, verbose: bool) -> None:
    """Sends everything to stderr. ``verbose`` adds the stacks, and thereby the texts, of failed invocations."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("localhost").setLevel(logging.DEBUG if verbose else logging.INFO)
    for noisy in ("azure", "aiohttp", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def say(logger: logging.Logger, level: int, action: str, **fields: object) -> None:
    """``action=invocation.failed function="x" ms=12``"""
    logger.log(level, "%s", " ".join([f"action={action}", *_pairs(fields)]))


def _pairs(fields: Mapping[str, object]) -> list[str]:
    return [f"{name}={json.dumps(value, default=str)}" for name, value in fields.items() if value is not None]


def origin(error: BaseException) -> str:
    """Where an error was raised, as ``file.py:12 in name``: enough to find it, without any value in it."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    return f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno} in {last.name}"
