"""Rules of the code that import-linter cannot say: sizes, what orchestrations see, where SQL, clocks and chance are."""

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LONGEST = 600

ORCHESTRATION_IMPORTS = {
    "collections.abc",
    "datetime",
    "typing",
    "azure.durable_functions",
    "functions",
    "functions.names",
    "functions.messages",
}
"""Beside the core: what a replay may touch."""

CALLS = {
    "datetime.now": (),
    "datetime.utcnow": (),
    "datetime.today": (),
    "date.today": (),
    "time.time": ("shared/process.py",),
    "time.monotonic": ("shared/process.py",),
    "time.perf_counter": (),
    "time.sleep": (),
    "random.random": (),
    "random.choice": (),
    "random.randint": (),
    "uuid4": ("shared/process.py", "shared/adapters/metastore/holds.py"),
}
"""Calls that make a function depend on when and where it runs, and the only files of the product that may make them."""

COMPOSITION = {"shared/handles.py", "shared/process.py"}
"""What a process keeps open is wired here."""

DYNAMIC_SQL = {
    "shared/adapters/postgres/statements.py",
    "shared/adapters/postgres/stream_statements.py",
    "shared/adapters/postgres/write_statements.py",
}
"""The modules that make SQL from parts: from literals, and identifiers of the catalog that they quote."""


@cache
def sources(*folders: str) -> tuple[tuple[str, str], ...]:
    """Path and text of every module below these folders."""
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return tuple(
        (path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))
        for path in paths
        if "node_modules" not in path.parts
    )


@cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Every node of a module's tree; parsing takes most of these tests' time."""
    return tuple(ast.walk(ast.parse(source)))


@cache
def imported(source: str) -> set[str]:
    """The modules that a source names, with `from package import module` as both may be."""
    names = set()
    for node in nodes(source):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
            if node.module == "functions":
                names |= {f"functions.{alias.name}" for alias in node.names}
    return names


@cache
def called(source: str) -> frozenset[str]:
    """Dotted names of everything that is called: the last two parts, and the last one alone."""
    names = {ast.unparse(node.func) for node in nodes(source) if isinstance(node, ast.Call)}
    return frozenset(
        {".".join(name.rsplit(".", 2)[-2:]) for name in names} | {name.rsplit(".", 1)[-1] for name in names}
    )


def _of_named_statements(node: ast.expr) -> bool:
    """SQL["one"] + SQL["other"]: both are read from .sql files, and literal as such."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _of_named_statements(node.left) and _of_named_statements(node.right)
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) == "SQL"


def interpolated_sql(source: str) -> list[int]:
    """Lines where text is put together on its way into SQL: f-strings, %, + and format in execute, executemany, copy, SQL."""
    found = []
    for node in nodes(source):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = ast.unparse(node.func).rsplit(".", 1)[-1]
        if name not in {"execute", "executemany", "copy", "stream", "SQL"}:
            continue
        first = node.args[0]
        formatted = (
            isinstance(first, ast.Call) and isinstance(first.func, ast.Attribute) and first.func.attr == "format"
        )
        of_text = formatted and isinstance(first.func.value, ast.Constant)
        joined = isinstance(first, ast.JoinedStr) and any(isinstance(v, ast.FormattedValue) for v in first.values)
        if joined or of_text or (isinstance(first, ast.BinOp) and not _of_named_statements(first)):
            found.append(node.lineno)
    return found


def test_what_is_deployed_needs_nothing_that_is_not():
    for name, text in [
        *sources("functions", "shared"),
        ("function_app.py", (ROOT / "function_app.py").read_text("utf-8")),
    ]:
        assert not {module for module in imported(text) if module.partition(".")[0] in ("infra", "tests")}, name


def test_no_module_is_too_long_to_be_read():
    long = {
        name: text.count("\n") for name, text in sources("functions", "shared", "infra") if text.count("\n") > LONGEST
    }
    assert long == {}


def test_orchestrations_see_names_messages_and_the_core_only():
    source = (ROOT / "functions/orchestrators.py").read_text("utf-8")
    seen = {name for name in imported(source) if not name.startswith("shared.core.")}
    assert seen <= ORCHESTRATION_IMPORTS


def test_names_and_messages_see_nothing_of_the_engine():
    for name in ("functions/names.py", "functions/messages.py"):
        seen = imported((ROOT / name).read_text("utf-8"))
        assert not {module for module in seen if module.startswith(("shared.", "azure", "functions"))}, name


@pytest.mark.parametrize("call", CALLS)
def test_clock_sleep_and_chance_are_called_by_their_owners_only(call):
    for name, text in sources("shared", "functions"):
        if name not in CALLS[call]:
            assert call not in called(text), name


def test_no_sql_is_put_together_from_texts():
    for name, text in sources("shared", "functions"):
        if name not in DYNAMIC_SQL:
            assert interpolated_sql(text) == [], name


def test_identifiers_become_sql_in_two_modules():
    for name, text in sources("shared", "functions"):
        if name not in DYNAMIC_SQL and not name.startswith("shared/adapters/metastore/"):
            assert "psycopg.sql" not in imported(text), name
            assert "sql.Identifier" not in text, name


def test_databases_and_graph_are_spoken_to_by_adapters_and_the_composition_only():
    drivers = {"psycopg", "psycopg_pool", "httpx", "msal", "requests"}
    for name, text in sources("shared", "functions"):
        if not name.startswith("shared/adapters/") and name not in COMPOSITION:
            assert not {module.partition(".")[0] for module in imported(text)} & drivers, name


@pytest.mark.parametrize(
    "line",
    [
        'c.execute(f"select {x}")',
        'c.execute("select " + x)',
        'c.execute(SQL["a"] + x)',
        'c.execute("select %s" % x)',
        'c.execute("select {}".format(x))',
        'sql.SQL(f"{x}")',
        'cursor.copy(f"copy {x}")',
    ],
)
def test_the_rule_about_sql_sees_every_way_to_break_it(line):
    assert interpolated_sql(line) == [1]


@pytest.mark.parametrize(
    ("line", "call"),
    [
        ("datetime.now(UTC)", "datetime.now"),
        ("datetime.datetime.now()", "datetime.now"),
        ("time.sleep(1)", "time.sleep"),
        ("uuid.uuid4()", "uuid4"),
        ("uuid4()", "uuid4"),
    ],
)
def test_the_rule_about_calls_sees_them_under_both_imports(line, call):
    assert call in called(line)


def test_constant_sql_is_no_offence():
    assert interpolated_sql('c.execute("select 1", [x])\nc.execute(SQL["a"] + SQL["b"])\nsql.SQL("{}").format(x)') == []
