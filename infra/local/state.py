"""What a local stack remembers between two starts: ports, secrets and where its data lies."""

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from infra.local.errors import LocalStackError
from infra.local.postgres import can_enter, server_account

DIRECTORY = Path(__file__).parents[2] / ".local/stack"
_FILE = "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Lives in `directory` as a file that only its owner reads. `ports` are wishes: taken again if they are free."""

    directory: Path
    ports: Mapping[str, int] = field(default_factory=dict)
    postgres_password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    source_password: str = field(default_factory=lambda: secrets.token_urlsafe(18), repr=False)
    secret_key: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(32)).decode(), repr=False)
    host_key: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def postgres_base(self) -> Path:
        """Where PostgreSQL keeps its data: below the directory, or below /var/tmp if its user cannot get there."""
        return postgres_base(self.directory)


def load(directory: Path) -> State:
    """The state in that directory, or a new one; the directory is made if it is missing.

    Raises LocalStackError if the file there is none of ours.
    """
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    try:
        return State(directory=directory, **json.loads((directory / _FILE).read_text(encoding="utf-8")))
    except FileNotFoundError:
        return State(directory=directory)
    except (ValueError, TypeError) as error:
        raise LocalStackError(
            f"{directory / _FILE} cannot be read ({error}): run `make clean-local` to start afresh."
        ) from error


def save(state: State) -> None:
    """Write it, whole or not at all."""
    remembered = {name: value for name, value in asdict(state).items() if name != "directory"}
    fresh = state.directory / f"{_FILE}.new"
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(json.dumps(remembered, indent=2), encoding="utf-8")
    fresh.rename(state.directory / _FILE)


def postgres_base(directory: Path) -> Path:
    """Where the PostgreSQL of the stack in `directory` keeps its data.

    Root's PostgreSQL runs as another user, who cannot enter a checkout below root's home.
    """
    if can_enter(directory, server_account()):
        return directory / "postgres"
    return Path("/var/tmp") / f"syncbridge-{os.geteuid()}-{hashlib.sha256(bytes(directory)).hexdigest()[:12]}"  # noqa: S108
