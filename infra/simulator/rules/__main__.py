"""`python -m infra.simulator.rules` prints RULES.md; with `--write` it writes the file."""

import sys
from pathlib import Path

from .render import render


def main() -> None:
    """Print the rules, or write them beside the simulator."""
    if sys.argv[1:] == ["--write"]:
        Path(__file__).parent.with_name("RULES.md").write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main()
