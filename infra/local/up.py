"""`make up`: everything, on loopback ports, until Ctrl-C.

python -m infra.local.up [--host local|func] [--directory .local/stack] [--projects 20000]
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.lock import locked
from infra.local.sample.generate import Counts
from infra.local.stack import Options, Stack, bring_up
from infra.local.state import DIRECTORY, load
from infra.local.supervisor import StopRequestedError, supervised


def say(line: str) -> None:
    """To whoever watches, at once."""
    print(line, flush=True)


def summary(stack: Stack) -> str:
    """Where everything is. The passwords are those of servers that only this machine can reach."""
    tenant = stack.tenant
    return "\n".join(
        (
            "",
            f"  API and its documents  {stack.host_url}/api/docs",
            f"  host key               {stack.state.host_key}   (header x-functions-key)",
            f"  simulated SharePoint   {stack.simulator.url}/_sim/",
            f"  its tenant and app     {tenant.id}, client {tenant.client_id}, secret {tenant.client_secret}",
            f"  PostgreSQL, source     {stack.server.dsn('business')}",
            f"  PostgreSQL, metastore  {stack.server.dsn('syncbridge')}",
            f"  logs and data          {stack.state.directory}",
            "",
            "READY: Ctrl-C stops everything; the data stays for the next `make up` (`make clean-local` deletes it).",
        )
    )


def main(arguments: Sequence[str]) -> int:
    """0 after Ctrl-C, 1 when something could not start or ended by itself."""
    parser = argparse.ArgumentParser(prog="make up", description="Everything on this machine, until Ctrl-C.")
    parser.add_argument("--host", choices=("local", "func"), default="local")
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--projects", type=int, default=20_000)
    parser.add_argument("--multiplier", type=float, default=1.0, help="of the smallest tier's budget")
    options = parser.parse_args(arguments)
    try:
        state = load(options.directory)
        with locked(state.directory) as lock, supervised() as supervisor:
            say("Starting Arcore SyncBridge on this machine:")
            wanted = Options(
                host=options.host,
                counts=Counts.for_projects(options.projects),
                multiplier=options.multiplier,
                keep_open=(lock,),
            )
            say(summary(bring_up(state, supervisor, wanted, say)))
            ended = supervisor.watch()
            say(
                f"\n{ended.name} ended by itself with exit code {ended.exit_code}; everything else is being stopped. "
                f"Its last words ({ended.log}):\n{ended.last_lines()}"
            )
            return 1
    except StopRequestedError:
        say("\nStopped. The data stays for the next `make up`.")
        return 0
    except LocalStackError as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
