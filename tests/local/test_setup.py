"""infra/local/setup.sh and the Makefile, on machines that lack something."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NEEDED = ("bash", "dirname", "env", "touch", "cat", "rm", "sh")


@pytest.fixture
def machine(tmp_path):
    """A checkout with the script in it, and a PATH with nothing but a shell's own tools."""
    (tmp_path / "checkout/infra/local").mkdir(parents=True)
    shutil.copy(ROOT / "infra/local/setup.sh", tmp_path / "checkout/infra/local")
    (tmp_path / "bin").mkdir()
    for name in NEEDED:
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))

    def install(part: str, **programs: str) -> str:
        for name, text in programs.items():
            path = tmp_path / "bin" / name
            path.write_text(f"#!/bin/sh\n{text}\n")
            path.chmod(0o755)
        done = subprocess.run(
            [tmp_path / "checkout/infra/local/setup.sh", part],
            env={"PATH": str(tmp_path / "bin")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 1, done.stdout
        return done.stderr

    return install


OLD_PYTHON = 'case "$2" in *version_info*) exit 1;; esac'
PYTHON_WITHOUT_VENV = 'case "$2" in *ensurepip*) exit 1;; esac'
NODE = "case $1 in -p) echo 20;; *) echo v20.20.2;; esac"


@pytest.mark.parametrize(
    ("part", "programs", "sentence"),
    [
        ("python", {}, "no Python 3.11 to 3.13 was found: install one, or name it with PYTHON=/path/to/python3 make setup."),
        ("python", {"python3": OLD_PYTHON}, "no Python 3.11 to 3.13 was found"),
        ("python", {"python3": PYTHON_WITHOUT_VENV}, "python3 cannot make virtual environments: install its venv package"),
        ("node", {}, "Node.js was not found: install Node.js 20 or newer"),
        ("node", {"node": "case $1 in -p) echo 18;; *) echo v18.19.0;; esac"}, "Node.js v18.19.0 is too old: install Node.js 20 or newer."),
        ("node", {"node": NODE}, "npm was not found: install it beside Node.js"),
        ("node", {"node": NODE, "npm": "echo offline >&2; exit 1"}, "npm could not install the packages (above): check the network"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said_in_one_sentence(machine, part, programs, sentence):
    said = machine(part, **programs).splitlines()
    assert said[-1].startswith(f"make setup: {sentence}")


def test_make_alone_lists_every_target_with_its_purpose():
    listed = subprocess.run(["make", "-C", ROOT], stdout=subprocess.PIPE, text=True, check=True).stdout
    text = (ROOT / "Makefile").read_text()
    phony = text.split(".PHONY: ")[1].split()
    assert [word for word in phony if f"make {word} " not in listed and word != "help"] == []


def test_the_build_runs_make_test_and_nothing_else():
    commands = [
        line
        for line in (ROOT / ".ci/run").read_text().splitlines()
        if line and not line.startswith(("#", "set ", "cd "))
    ]
    assert commands == ["exec make test"]


def test_nothing_that_is_locked_names_a_registry():
    locked = (ROOT / "infra/local/package-lock.json").read_text()
    assert '"resolved"' not in locked
    assert '"integrity"' in locked
