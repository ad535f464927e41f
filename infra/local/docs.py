"""Writes what the documentation takes from the code: the README's generated blocks and local.settings.sample.json.

python -m infra.local.docs [--check]     --check: exit 1 and say what is stale, write nothing
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from functions.api.app import create_app
from functions.api.problems import status_of
from shared.core.backoff import DEFAULT, SCHEDULES
from shared.core.columns import DEFAULTS
from shared.core.decision_tables import FIELD_CASES, GROUP_CASES, UNIT_CASES, FieldCase, UnitCase
from shared.core.definition import SyncMode
from shared.core.errors import SyncError, disposition
from shared.core.estimate import TIERS, WRITE
from shared.core.lifecycle import DEFINITION_MOVES, RUN_MOVES
from shared.core.policies import SUGGESTED
from shared.engine import Engine
from shared.settings import DECLARED

ROOT = Path(__file__).parents[2]
README, SAMPLE = "README.md", "local.settings.sample.json"

HOST_SETTINGS: Mapping[str, tuple[str, str]] = {
    "FUNCTIONS_WORKER_RUNTIME": ("python", "The host's: which worker runs the app."),
    "AzureWebJobsStorage": (
        "UseDevelopmentStorage=true",
        "The host's: the storage account of durable orchestrations, timers and keys.",
    ),
    "PYTHON_THREADPOOL_THREAD_COUNT": (
        "16",
        "The worker's: threads of synchronous functions. More than `maxConcurrentActivityFunctions` in host.json (8).",
    ),
}
"""What the host and its worker read beside the app's own settings, with the sample's value and a meaning."""

_EXAMPLES = {"SYNCBRIDGE_METASTORE_DSN": "postgresql://syncbridge@127.0.0.1:5432/syncbridge"}
_BLOCK = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end of (?P=name) -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def settings() -> str:
    def shown(default: str | None) -> str:
        return "required" if default is None else f"`{default}`" if default else "empty"

    own = [
        (f"`{setting.name}`", shown(setting.default), setting.meaning + (" A secret." if setting.secret else ""))
        for setting in DECLARED
    ]
    host = [(f"`{name}`", f"`{value}`", meaning) for name, (value, meaning) in HOST_SETTINGS.items()]
    return table(("setting", "default", "meaning"), own) + "\n" + table(("setting", "sample", "meaning"), host)


def types() -> str:
    rows = [(line.types, str(line.kind or "none"), line.notes) for line in DEFAULTS]
    return table(("PostgreSQL type", "list column", "notes"), rows)


def field_decisions() -> str:
    rows = [
        (
            case.flow.replace("_", " ").lower(),
            case.base,
            case.row,
            case.item,
            case.policy if _contested(case) else "",
            case.write or "nothing",
            case.logged or "",
            case.words,
        )
        for case in FIELD_CASES
    ]
    return table(("flow", "agreed", "row", "item", "policy", "written", "logged", "in words"), rows)


def _contested(case: FieldCase) -> bool:
    """Whether the conflict policy decides."""
    return case.flow == "BOTH" and bool(case.logged)


def group_decisions() -> str:
    rows = [
        (
            *(", ".join(letters) for letters in (case.base, case.row, case.item)),
            case.policy if case.logged else "",
            case.write or "nothing",
            str(case.logged or ""),
            case.words,
        )
        for case in GROUP_CASES
    ]
    return table(("agreed", "row", "item", "policy", "written", "values logged", "in words"), rows)


def unit_decisions() -> str:
    rows = [
        (
            case.mode,
            case.state,
            case.base,
            "left out" if case.left_out else case.row,
            case.item,
            _policy(case),
            _spaced(case.decision),
            case.logged,
            case.words,
        )
        for case in UNIT_CASES
    ]
    return table(("mode", "ledger", "agreed", "row", "item", "policy", "decision", "logged", "in words"), rows)


def _policy(case: UnitCase) -> str:
    """What of the case's policies the decision hangs on."""
    if case.row == "-" and case.item != "-" and case.state in ("-", "BOUND", "TOMBSTONE") and not case.ours:
        return "" if case.mode == "ONE_WAY_PUSH" else f"foreign_items {case.foreign}"
    if case.state != "SETTLED" or (case.row == "-") == (case.item == "-"):
        return ""
    return f"row_deleted {case.row_deleted}" if case.row == "-" else f"item_deleted {case.item_deleted}"


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def errors() -> str:
    def kinds(of: type[SyncError]) -> Iterable[type[SyncError]]:
        for kind in of.__subclasses__():
            yield kind
            yield from kinds(kind)

    rows = []
    for kind in kinds(SyncError):
        error = kind("")
        rows.append((f"`{error.code}`", kind.__name__, disposition(error).value, str(status_of(error))))
    return table(("code", "error", "what the engine does", "HTTP status"), rows)


def retries() -> str:
    rows = []
    for reason, schedule in {**SCHEDULES, "every other reason": DEFAULT}.items():
        rows.append(
            (
                f"`{reason}`" if reason in SCHEDULES else reason,
                _duration(schedule.first.total_seconds()),
                f"{schedule.factor:g}",
                _duration(schedule.longest.total_seconds()),
                str(schedule.attempts),
            )
        )
    return table(("reason", "first retry after", "then times", "at most", "retries"), rows)


def _duration(seconds: float) -> str:
    for size, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= size:
            count = f"{seconds / size:g}"
            return f"{count} {word}{'' if count == '1' else 's'}"
    return f"{seconds:g} seconds"


def modes() -> str:
    edits = {
        SyncMode.ONE_WAY_PUSH: "to the list",
        SyncMode.ONE_WAY_PULL: "to the table",
        SyncMode.TWO_WAY: "both ways",
    }
    rows = [
        (f"`{mode}`", edits[mode], *(f"`{value}`" for value in (p.row_deleted, p.item_deleted, p.foreign_items)))
        for mode, p in SUGGESTED.items()
    ]
    return table(("mode", "edits flow", "`row_deleted`", "`item_deleted`", "`foreign_items`"), rows)


def states() -> str:
    def rows(moves: Mapping[str, frozenset[str]]) -> list[tuple[str, str]]:
        return [(state, ", ".join(sorted(following)) or "nothing: it is over") for state, following in moves.items()]

    definitions = table(("definition", "can become"), rows({str(k): frozenset(v) for k, v in DEFINITION_MOVES.items()}))
    runs = table(("run", "can become"), rows({str(k): frozenset(v) for k, v in RUN_MOVES.items()}))
    return definitions + "\n" + runs


def tiers() -> str:
    rows = []
    for tier in TIERS:
        licences = "more" if tier.licences is None else f"up to {tier.licences:,}"
        writes = (f"{tier.per_minute // WRITE:,}", f"{tier.per_day // WRITE:,}")
        rows.append((licences, f"{tier.per_minute:,}", f"{tier.per_day:,}", *writes))
    return table(("licences", "RU a minute", "RU a day", "writes a minute", "writes a day"), rows)


def api() -> str:
    def no_engine() -> Engine:
        raise AssertionError("describing the API asks no engine")

    rows = []
    for path, operations in create_app(no_engine).openapi()["paths"].items():
        for method, operation in operations.items():
            said = operation.get("description", operation["summary"])
            first = re.split(r"(?<=\.)\s", " ".join(said.split()), maxsplit=1)[0]
            rows.append((f"`{method.upper()}`", f"`{path}`", first))
    return table(("method", "path", "what it does"), rows)


BLOCKS: Mapping[str, Callable[[], str]] = {
    "settings": settings,
    "types": types,
    "field-decisions": field_decisions,
    "group-decisions": group_decisions,
    "unit-decisions": unit_decisions,
    "errors": errors,
    "retries": retries,
    "modes": modes,
    "states": states,
    "tiers": tiers,
    "api": api,
}


def rendered(text: str) -> str:
    """The README with its blocks as the code has them now. Raises KeyError for a block that nothing makes."""
    return _BLOCK.sub(lambda found: found[1] + BLOCKS[found["name"]]() + found[3], text)


def sample() -> str:
    """The sample of local.settings.json: every setting, with its default or an example."""
    values = {name: value for name, (value, _) in HOST_SETTINGS.items()}
    values |= {setting.name: setting.default or _EXAMPLES.get(setting.name, "") for setting in DECLARED}
    return json.dumps({"IsEncrypted": False, "Values": values}, indent=2) + "\n"


def wanted(root: Path) -> dict[str, str]:
    """File name -> what it should be."""
    return {README: rendered((root / README).read_text("utf-8")), SAMPLE: sample()}


def stale(root: Path = ROOT) -> list[str]:
    """The files that are not as the code has it."""
    files = wanted(root)
    return [name for name in files if not (root / name).exists() or (root / name).read_text("utf-8") != files[name]]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.local.docs", description=__doc__)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args(arguments)
    found = stale()
    if options.check:
        for name in found:
            print(f"{name} is stale: run python -m infra.local.docs")
        return 1 if found else 0
    for name, text in wanted(ROOT).items():
        (ROOT / name).write_text(text, "utf-8")
    print(f"rewritten: {', '.join(found)}" if found else "nothing was stale")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
