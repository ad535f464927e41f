"""One source database as set-up sees it: the port SourceAdmin over PostgreSQL."""

from collections.abc import Sequence

from shared.adapters.postgres.address import Admit
from shared.adapters.postgres.connection import SourceDatabase
from shared.adapters.postgres.health import check_health
from shared.adapters.postgres.introspection import introspect, list_tables
from shared.adapters.postgres.rights import check_source
from shared.core.catalog import Checked, Health
from shared.core.definition import SourceSpec
from shared.core.errors import ConfigurationError, Transient
from shared.core.needs import Needs
from shared.core.problems import Problem
from shared.core.snapshot import TableSnapshot
from shared.core.source import TableRef


class PostgresAdmin:
    """Looks, and never writes."""

    def __init__(self, database: SourceDatabase, *, admit: Admit) -> None:
        self._database = database
        self._admit = admit

    def health(self) -> Checked:
        """Connects once, outside the pool. Does not raise: a failure is a sentence under "problem".

        UNREACHABLE: it may pass by itself. DEGRADED: somebody has to change something.
        """
        try:
            found = check_health(self._database.address, admit=self._admit, limits=self._database.limits)
        except Transient as error:
            return Checked(health=Health.UNREACHABLE, details={"problem": error.message, "code": error.code})
        except ConfigurationError as error:
            return Checked(health=Health.DEGRADED, details={"problem": error.message, "code": error.code})
        return Checked(
            health=Health.HEALTHY,
            details={
                "version": found.version,
                "standby": found.standby,
                "encrypted": found.encrypted,
                "latency_ms": round(found.latency * 1000, 2),
                "encoding": found.server_encoding,
                "wal_level": found.wal_level,
            },
        )

    def tables(self) -> Sequence[TableRef]:
        """Tables, views and foreign tables of the schemas that the role may use, by schema and name."""
        return tuple(listing.table for listing in list_tables(self._database))

    def introspect(self, table: TableRef) -> TableSnapshot:
        return introspect(self._database, table)

    def check(self, spec: SourceSpec, needs: Needs | None = None) -> tuple[Problem, ...]:
        """Missing rights, each with the SQL that gives it, and what the data says about the key and the cursor."""
        return check_source(self._database, spec, needs)
