"""The core decides and touches nothing: it imports the standard library's pure parts and itself."""

import ast
import sys
from pathlib import Path

import pytest

import shared.core

ROOT = Path(shared.core.__file__).parent
MODULES = sorted(ROOT.rglob("*.py"))
WORLD = {"os", "time", "random", "socket", "logging", "subprocess", "threading", "asyncio", "secrets", "pathlib", "io"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_core_module_imports_the_pure_standard_library_and_the_core_only(path):
    for name in imported(path):
        top = name.split(".")[0]
        assert name.startswith("shared.core") or top in sys.stdlib_module_names
        assert top not in WORLD


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_core_module_asks_no_clock_and_draws_no_random_number(path):
    called = {
        node.func.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert not called & {"now", "utcnow", "today", "uuid1", "uuid4", "urandom"}
