"""`make demo`: exits 0 only if what the lists hold, read back through Graph, equals the tables.

python -m infra.local.demo [--projects 20000] [--host local|func]
"""

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from infra.local.demo.acts import cdc, pacing, push, two_way
from infra.local.demo.http import Api, DemoError
from infra.local.demo.report import Report
from infra.local.demo.setup import register_database
from infra.local.demo.work import Work
from infra.local.errors import LocalStackError
from infra.local.sample.generate import Counts
from infra.local.stack import Options, bring_up
from infra.local.state import load
from infra.local.supervisor import StopRequestedError, Supervisor, supervised
from infra.local.up import say

# A tenant that bought so many times the smallest budget that the engine sets the pace.
_LARGE = 1_000.0


def main(arguments: Sequence[str]) -> int:
    """0 when every act held, else 1; the last line of the output is JSON either way."""
    parser = argparse.ArgumentParser(prog="make demo")
    parser.add_argument("--projects", type=int, default=20_000)
    parser.add_argument("--host", choices=("local", "func"), default="local")
    options = parser.parse_args(arguments)
    report, began = Report(), time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="syncbridge-demo-"))
    directory.chmod(0o711)  # PostgreSQL's user passes through it when root runs the demo
    failure: str | None = None
    try:
        with supervised() as supervisor:
            _play(supervisor, directory, report, options)
    except StopRequestedError:
        failure = "it was interrupted"
    except (DemoError, LocalStackError) as error:
        failure = str(error)
    except Exception as error:  # the edge of the process: the last line has to be JSON whatever happened
        traceback.print_exc()
        failure = f"{type(error).__name__} in the demo itself (above)"
    if failure is None:
        shutil.rmtree(directory)
        print(
            f"\nDone in {time.monotonic() - began:.0f} s: both sides are equal, and everything is stopped and removed."
        )
        print(report.closing_line("ok"))
        return 0
    print(f"\nThe demo failed: {failure}\nLogs and data are in {directory}.")
    print(report.closing_line("failed", reason=failure.splitlines()[0]))
    return 1


def _play(supervisor: Supervisor, directory: Path, report: Report, options: argparse.Namespace) -> None:
    print("Starting Arcore SyncBridge on this machine, on data of its own:")
    wanted = Options(host=options.host, durable=False, counts=Counts.for_projects(options.projects), multiplier=_LARGE)
    stack = bring_up(load(directory / "stack"), supervisor, wanted, say)
    api = Api(stack.api_url, stack.state.host_key)
    work = Work(stack=stack, api=api, report=report)
    try:
        report.heading("Act 1: a table becomes a list and stays equal to it")
        instance = register_database(work)
        report.acts["push"] = push.run(work, instance=instance, projects=options.projects)
        report.heading("Act 2: people edit the list, users edit the table, both at once")
        report.acts["two_way"] = two_way.run(work, instance=instance, customers=wanted.counts.customers)
        report.heading("Act 3: changes reach the list as they are committed")
        report.acts["cdc"] = cdc.run(work, instance=instance)
        report.heading("Act 4: the smallest tenant's budget is never exceeded")
        report.acts["pacing"] = pacing.run(work, instance=instance)
    except DemoError as error:
        ended = supervisor.first_ended()
        raise error if ended is None else DemoError(f"{error}; {ended.name} ended: {ended.last_lines()}") from error
    finally:
        api.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
