"""`python -m infra.simulator --port N --data DIR`: start the simulator, print READY, stop at SIGTERM or SIGINT."""

import argparse
import asyncio
import gc
import signal
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

from infra.simulator.server import listen
from infra.simulator.service import Service, read_config


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m infra.simulator", description="SharePoint behind Microsoft Graph, on this machine."
    )
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--data", type=Path, required=True, help="folder that keeps the state")
    parser.add_argument("--ready-file", type=Path, help="written with the address once requests are accepted")
    parser.add_argument("--config", type=Path, help="JSON: knobs, rules, tenants, faults, clock")
    return parser.parse_args()


async def _run(arguments: argparse.Namespace, service: Service) -> None:
    try:
        server, port, connections = await listen(service, arguments.host, arguments.port)
    except OSError:
        await service.close()
        raise
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows; there the interrupt ends the process, and the store bears it
            loop.add_signal_handler(name, stop.set)
    gc.freeze()
    address = f"http://{arguments.host}:{port}"
    if arguments.ready_file:
        arguments.ready_file.write_text(address, encoding="utf-8")
    print(f"READY {address}", flush=True)
    await stop.wait()
    server.close()
    for connection in list(connections):
        connection.close()
    await service.close()


def main() -> int:
    arguments = _arguments()
    try:
        config = read_config(arguments.config) if arguments.config else None
    except (OSError, ValueError) as error:
        return _complain(f"the configuration cannot be read: {error}")
    try:
        service = Service(arguments.data, config)
    except ValueError as error:
        return _complain(f"the configuration cannot be used: {error}")
    except (OSError, sqlite3.Error) as error:
        return _complain(
            f"the data folder {arguments.data} cannot be used, is another simulator at work there? {error}"
        )
    try:
        if sys.platform == "win32":
            asyncio.run(_run(arguments, service))
        else:
            import uvloop

            uvloop.run(_run(arguments, service))
    except OSError as error:
        return _complain(f"port {arguments.port} cannot be used: {error}")
    return 0


def _complain(text: str) -> int:
    print(text, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
