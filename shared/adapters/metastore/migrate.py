"""`python -m shared.adapters.metastore.migrate [--check]`: bring the metastore's schema up to this release.

The DSN comes from SYNCBRIDGE_METASTORE_DSN and names the server directly, not through a pooler. Exit code 0: the schema
fits; 1: it is behind (--check); 2: it could not be done.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence

from shared.adapters.metastore.migrations import Standing, check, migrate
from shared.core.errors import SyncError


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.adapters.metastore.migrate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say whether migrations are missing")
    parser.add_argument("--release", default="unreleased", help="written beside the migrations that are applied")
    options = parser.parse_args(arguments)
    dsn = environ.get("SYNCBRIDGE_METASTORE_DSN")
    if not dsn:
        sys.stderr.write("SYNCBRIDGE_METASTORE_DSN is not set: give it the metastore's connection string\n")
        return 2
    try:
        if not options.check:
            applied = migrate(dsn, release=options.release)
            sys.stdout.write(f"applied {len(applied)} migration(s)\n" if applied else "nothing to apply\n")
        found = check(dsn)
    except SyncError as error:
        sys.stderr.write(f"{error.message}\n")
        return 2
    sys.stdout.write(f"the schema is at {found.applied}, this release has {found.wanted}: {found.standing.lower()}\n")
    return 1 if found.standing is Standing.BEHIND else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
