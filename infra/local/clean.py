"""`make clean-local`: deletes what `make up` keeps. Needs nothing but Python."""

import shutil
import sys

from infra.local.errors import LocalStackError
from infra.local.lock import locked
from infra.local.state import DIRECTORY, postgres_base


def main() -> int:
    """0 when nothing is left, 1 when a running stack still uses it."""
    if not DIRECTORY.exists():
        print("There is no local data.")
        return 0
    try:
        with locked(DIRECTORY):
            shutil.rmtree(postgres_base(DIRECTORY), ignore_errors=True)
            shutil.rmtree(DIRECTORY)
    except LocalStackError as error:
        print(f"make clean-local: {error}", file=sys.stderr)
        return 1
    print("The local data is deleted.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
