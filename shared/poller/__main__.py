"""python -m shared.poller: reads replication slots until SIGTERM or SIGINT, which let it finish what it has read.

Settings are those of the app, from the environment. Logs go to stderr, one JSON object a line.
"""

import json
import logging
import os
import random
import signal
import socket
import sys
from types import FrameType

from shared.core.errors import ConfigurationError
from shared.engine import Engine
from shared.poller.health import HealthServer
from shared.poller.poller import Poller
from shared.settings import from_env

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, message, and what the record carries beside it."""

    default_msec_format = "%s.%03d"

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": self.formatTime(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        return json.dumps(line, default=str, ensure_ascii=False)


def main() -> int:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for noisy in ("azure", "urllib3", "psycopg"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        settings = from_env(os.environ)
    except ConfigurationError as error:
        for problem in error.problems:
            logging.getLogger("syncbridge.poller").error(problem, extra={"action": "settings"})  # noqa: TRY400  no trace: it is for whoever sets them
        return 2
    engine = Engine.from_settings(settings)
    engine.open()
    poller = Poller(engine, holder=f"{socket.gethostname()}:{os.getpid()}", jitter=random.random)
    health = HealthServer(settings.health_address, live=poller.live, ready=poller.ready)
    health.start()

    def stop(_number: int, _frame: FrameType | None) -> None:
        poller.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        poller.run()
    finally:
        health.close()
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
