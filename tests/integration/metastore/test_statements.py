import re
from pathlib import Path

import pytest

from shared.adapters.metastore import statements
from shared.adapters.metastore.statements import load, nouns

SOURCES = Path(statements.__file__).parent
PARAMETER = re.compile(r"%\((\w+)\)[sbt]")

# Statements that are put together from parts: what the adapter executes is what has to be valid.
PARTS = {
    "catalog": {
        "instance_by_id": ("instance_columns", "instance_by_id"),
        "instance_by_name": ("instance_columns", "instance_by_name"),
        "connection_by_id": ("connection_columns", "connection_by_id"),
        "connection_by_name": ("connection_columns", "connection_by_name"),
    },
    "definitions": {name: ("columns", name) for name in ("by_id", "all", "due")},
    "backlog": {"mark": ("mark", "policy"), "policy": None, "numbers": ("mark", "policy", "numbers")},
    "ledger": {
        "columns": None,
        "by_hashes": ("columns", "by_hashes"),
        "by_items": ("columns", "by_items"),
        "tombstones_of": ("columns", "tombstones_of"),
    },
    "streams": {"columns": None, "by_instance": ("columns", "by_instance"), "all": ("columns", "all")},
    "conflicts": {name: ("columns", name) for name in ("by_id", "log")},
    "runs": {"record_columns": None, "by_id": ("record_columns", "by_id"), "recent": ("record_columns", "recent")},
}


def executed():
    """Every statement as it is executed, by noun and name; COPY and DDL cannot be prepared."""
    for noun in nouns():
        texts = load(noun)
        for name in texts:
            parts = PARTS.get(noun, {}).get(name, (name,))
            if parts is None:
                continue
            text = "\n".join(texts[part] for part in parts)
            if noun in ("scans", "enumerations") and name == "mark":
                text += "\n" + load("backlog")["policy"]
            yield pytest.param(text, id=f"{noun}-{name}")


def prepared(text: str) -> str:
    names: dict[str, int] = {}
    numbered = PARAMETER.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", text)
    for name in ("scan", "listed", "differing", "checksums"):
        numbered = numbered.replace(f"{{{name}}}", f"{name}_rows")
    return numbered.replace("%%", "%").replace("{{}}", "{}")


@pytest.mark.parametrize("text", list(executed()))
def test_every_statement_fits_the_schema(sql, text):
    sql.execute("create temporary table scan_rows (identity text, stamp bigint)")
    sql.execute("create temporary table checksums_rows (bucket integer, rows bigint, checksum bigint)")
    sql.execute("create temporary table listed_rows (item_id integer primary key, etag text, keyless boolean)")
    sql.execute(
        "create temporary table differing_rows"
        ' (subject_hash bytea, identity text, stamp bigint, item_id integer, etag text, kind "char")'
    )
    if re.match(r"\s*(select|insert|update|delete|with)\b", text):
        sql.execute(f"prepare checked as {prepared(text)}")
    else:
        assert re.match(r"\s*(create|drop|copy|analyze)\b", text)


def test_every_statement_is_used():
    code = "\n".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))
    unused = [f"{noun}.{name}" for noun in nouns() for name in load(noun) if f'"{name}"' not in code]

    assert unused == []


def test_every_file_of_statements_is_loaded():
    code = "\n".join(path.read_text("utf-8") for path in SOURCES.glob("*.py"))

    assert [noun for noun in nouns() if f'load("{noun}")' not in code] == []
