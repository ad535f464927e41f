"""Who we are to the database, and what that role may do beside tables."""

from dataclasses import dataclass
from typing import Final

from shared.adapters.postgres.connection import Connection
from shared.adapters.postgres.queries import queries
from shared.core.errors import InvariantViolated

RIGHTS: Final = "rights.sql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    name: str
    bypasses_policies: bool
    replicates: bool
    sees_statistics: bool


def role_of(connection: Connection) -> Role:
    """Who is logged in."""
    row = connection.execute(queries(RIGHTS)["role"]).fetchone()
    if row is None:
        raise InvariantViolated("the database does not know the role that is logged in")
    name, bypasses, replicates, sees = row
    return Role(name=name, bypasses_policies=bypasses, replicates=replicates, sees_statistics=sees)
