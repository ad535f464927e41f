"""``python -m infra.local.host --root DIR``: starts the function app of a folder, until SIGTERM or Ctrl-C."""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from infra.local.host.errors import HostError
from infra.local.host.host import Host, Options, describe, leave
from infra.local.host.http import ANSWER_SECONDS
from infra.local.host.logs import configure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.local.host", description=__doc__)
    parser.add_argument("--root", type=Path, default=Path(), help="folder with host.json and function_app.py")
    parser.add_argument("--port", type=int, help="port on 127.0.0.1; 0 takes a free one (default 7071)")
    parser.add_argument("--state", type=Path, help="SQLite file that keeps everything durable (default: memory)")
    parser.add_argument("--ready-file", type=Path, help="written when the host listens: url, port, pid, keys as JSON")
    parser.add_argument("--settings", type=Path, help="another local.settings.json")
    parser.add_argument("--skip-time", action="store_true", help="jump to the next durable timer whenever nothing runs")
    parser.add_argument("--no-keys", action="store_true", help="ask for no keys, as `func start` does")
    parser.add_argument("--answer-seconds", type=float, default=ANSWER_SECONDS, help="bound of an HTTP answer")
    parser.add_argument("--drain-seconds", type=float, default=10.0, help="time that running work gets at a stop")
    parser.add_argument("--verbose", action="store_true", help="log stacks of failed invocations, with their texts")
    return parser.parse_args()


async def _serve(host: Host, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with host:
        print(f"Functions host (local stand-in) on {host.url}")
        print("\n".join(describe(host.functions, host.front, host.url)), flush=True)
        if host.keys.enforced and sys.stdout.isatty():  # a log file is no place for keys; --ready-file is
            print(f"Function key: {host.keys.function}\nMaster key: {host.keys.master}", flush=True)
        if ready_file is not None:
            _announce(host, ready_file)
        stopping, broken = asyncio.create_task(stop.wait()), asyncio.create_task(host.watch())
        await asyncio.wait([stopping, broken], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if broken.done():
            broken.result()
        broken.cancel()


def _announce(host: Host, ready_file: Path) -> None:
    """Written beside and moved, so that a reader never sees half of it; readable by this user only."""
    document = {
        "url": host.url,
        "port": host.port,
        "pid": os.getpid(),
        "functions": [function.name for function in host.functions],
        "keys": {"master": host.keys.master, "function": host.keys.function, "system": host.keys.system},
    }
    partial = ready_file.with_name(f"{ready_file.name}.{os.getpid()}")
    partial.touch(mode=0o600)
    partial.write_text(json.dumps(document), encoding="utf-8")
    partial.replace(ready_file)


def main() -> int:
    given = _arguments()
    configure(verbose=given.verbose)
    options = Options(
        root=given.root,
        port=given.port,
        state=given.state,
        settings=given.settings,
        skip_time=given.skip_time,
        enforce_keys=not given.no_keys,
        answer_seconds=given.answer_seconds,
        drain_seconds=given.drain_seconds,
    )
    try:
        host = Host(options, os.environ)
        asyncio.run(_serve(host, given.ready_file))
    except HostError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    leave(host)
    return 0


if __name__ == "__main__":
    sys.exit(main())
