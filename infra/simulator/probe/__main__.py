"""`python -m infra.simulator.probe`: ask a real tenant (or a simulator) whether the rules of the catalogue hold.

It makes throw-away lists in one site, removes them at the end, and writes what it saw as files without tenant data.
The app needs Sites.Manage.All, or Sites.Selected with a manage grant on the site. Throttling is never provoked.
"""

import argparse
import os
import secrets
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from .ask import QUESTIONS
from .rig import Login
from .run import Answer, Outcome, probe

SECRET_VARIABLE = "SYNCBRIDGE_PROBE_SECRET"  # noqa: S105  # the name of a variable, not a secret


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m infra.simulator.probe", description=__doc__)
    parser.add_argument("--graph-url", default="https://graph.microsoft.com/v1.0", help="version root of Graph")
    parser.add_argument("--login-url", default="https://login.microsoftonline.com", help="where tokens come from")
    parser.add_argument("--scope", help="default: {host of --graph-url}/.default")
    parser.add_argument("--tenant", required=True, help="tenant id")
    parser.add_argument("--client-id", required=True, help="app id")
    parser.add_argument("--site", required=True, help="host:/sites/name, or a site id; use a site made for this")
    parser.add_argument("--zone", help="IANA time zone of the site, e.g. Europe/Berlin; date questions need it")
    parser.add_argument("--out", type=Path, default=Path("probe-answers"), help="folder for the golden files")
    parser.add_argument("--pause", type=float, default=20, help="seconds before a refuted rule is asked once more")
    parser.add_argument("--only", nargs="*", default=[], metavar="RULE", help="ask these rules only")
    return parser.parse_args()


def _tell(answer: Answer) -> None:
    print(f"{answer.outcome.value:>10}  {answer.rule.id}  {answer.seen}".rstrip(), flush=True)


def main() -> int:
    """Run the probe. 0: all asked rules hold; 1: some do not; 2: wrong call; 3: lists stayed; 130: stopped."""
    try:
        return _run(_arguments())
    except KeyboardInterrupt:
        print("Stopped; the lists made so far were removed.", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace) -> int:
    secret = os.environ.get(SECRET_VARIABLE, "")
    if not secret:
        print(f"Put the app's client secret into the environment variable {SECRET_VARIABLE}.", file=sys.stderr)
        return 2
    if unknown := sorted(set(arguments.only) - set(QUESTIONS)):
        print(f"No question for {', '.join(unknown)}; see RULES.md for the ids.", file=sys.stderr)
        return 2
    graph = urlsplit(arguments.graph_url)
    login = Login(
        url=arguments.login_url,
        tenant=arguments.tenant,
        client_id=arguments.client_id,
        secret=secret,
        scope=arguments.scope or f"https://{graph.hostname}/.default",
    )
    headers = {"User-Agent": "NONISV|Arcore|SyncBridgeProbe/1.0"}
    with httpx.Client(timeout=60, headers=headers) as client:
        report = probe(
            graph_url=arguments.graph_url,
            login=login,
            site=arguments.site,
            out=arguments.out,
            run=secrets.token_hex(4),
            client=client,
            zone=arguments.zone,
            only=arguments.only,
            wait=time.sleep,
            pause=arguments.pause,
            tell=_tell,
        )
    print(", ".join(f"{len(report.of(outcome))} {outcome.value}" for outcome in Outcome))
    print(f"Golden files: {arguments.out}")
    if report.left_behind:
        print(f"These lists would not go, remove them by hand: {', '.join(report.left_behind)}", file=sys.stderr)
        return 3
    return 0 if all(answer.outcome in (Outcome.CONFIRMED, Outcome.UNASKED) for answer in report.answers) else 1


if __name__ == "__main__":
    sys.exit(main())
