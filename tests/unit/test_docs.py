"""What the documentation says is there: settings, commands, paths, calls, links."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

from functions.api.app import create_app
from infra.local import docs
from shared.core.columns import DEFAULTS
from shared.settings import DECLARED, from_env

ROOT = Path(__file__).parents[2]
DOCUMENTS = (
    "README.md",
    "CHANGELOG.md",
    "shared/README.md",
    "tests/CATALOGUE.md",
    "infra/simulator/README.md",
    "infra/local/host/README.md",
)
README = (ROOT / "README.md").read_text("utf-8")


def document(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def test_the_generated_parts_are_as_the_code_has_them():
    assert docs.stale() == []


def test_a_stale_file_is_found_and_named(tmp_path):
    for name, text in docs.wanted(ROOT).items():
        (tmp_path / name).write_text(text, "utf-8")
    assert docs.stale(tmp_path) == []
    (tmp_path / docs.README).write_text(README.replace("| `SYNCBRIDGE_PAGE_SIZE` |", "| `SYNCBRIDGE_PAGES` |"), "utf-8")
    (tmp_path / docs.SAMPLE).unlink()
    assert docs.stale(tmp_path) == [docs.README, docs.SAMPLE]


def test_every_block_that_can_be_generated_is_in_the_readme():
    for name in docs.BLOCKS:
        assert f"<!-- generated: {name} -->\n" in README
        assert f"<!-- end of {name} -->" in README


def test_a_block_that_nothing_makes_is_refused():
    with pytest.raises(KeyError):
        docs.rendered("<!-- generated: nothing -->\n<!-- end of nothing -->")


def test_every_setting_is_documented_and_in_the_sample():
    values = json.loads(document(docs.SAMPLE))["Values"]
    for setting in DECLARED:
        assert f"| `{setting.name}` |" in README
        assert setting.meaning.replace("|", "\\|") in README
        assert setting.name in values
    assert set(values) == {setting.name for setting in DECLARED} | set(docs.HOST_SETTINGS)


def test_the_sample_holds_no_secret_and_can_be_read_as_settings():
    values = json.loads(document(docs.SAMPLE))["Values"]
    assert values["SYNCBRIDGE_SECRET_KEY"] == ""
    assert "password" not in values["SYNCBRIDGE_METASTORE_DSN"]
    assert from_env(values).page_size == int(values["SYNCBRIDGE_PAGE_SIZE"])


def test_every_setting_that_the_code_names_is_declared():
    declared = {setting.name for setting in DECLARED} | {"SYNCBRIDGE_PROBE_SECRET"}
    for folder in ("functions", "shared", "infra"):
        for path in (ROOT / folder).rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            named = set(re.findall(r"""["'](SYNCBRIDGE_[A-Z_]*[A-Z])["']""", path.read_text("utf-8")))
            assert named <= declared, path


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_that_is_named_exists(name):
    targets = set(re.findall(r"^([a-z][a-z-]*):", document("Makefile"), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z][a-z-]*)", document(name), re.MULTILINE))
    assert named <= targets
    assert named or name != "README.md"


def test_every_make_target_is_documented():
    for target in re.findall(r"^([a-z][a-z-]*):.*## ", document("Makefile"), re.MULTILINE):
        if target != "help":
            assert f"make {target}" in README


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_module_that_is_named_exists(name):
    for module in re.findall(r"python3? -m ([a-z_]+(?:\.[a-z_]+)+)", document(name)):
        assert importlib.util.find_spec(module) is not None, module


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_to_a_file_leads_somewhere(name):
    folder = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document(name)):
        assert target.startswith("https://") or (folder / target).exists(), target


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_link_within_a_document_leads_to_a_heading(name):
    text = document(name)
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= headings


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_of_the_project_that_is_named_exists(name):
    for path in re.findall(r"`((?:functions|shared|infra|tests|\.ci)/[A-Za-z0-9_./-]*)`", document(name)):
        assert (ROOT / path).exists() or path == "infra/local/node_modules", path


def test_every_call_that_the_readme_names_is_one_of_the_api():
    paths = create_app(lambda: pytest.fail("the document asks no engine")).openapi()["paths"]
    calls = {(method.upper(), path) for path, operations in paths.items() for method in operations}
    calls |= {("GET", "/api/docs"), ("GET", "/api/openapi.json")}
    named = set(re.findall(r"`(GET|POST|PUT|DELETE) (/api/[^`]*)`", README))
    assert named
    assert named <= calls


def test_every_line_of_the_type_table_is_shown():
    for line in DEFAULTS:
        assert line.types in README
        assert line.notes in README


def test_every_test_that_the_catalogue_names_exists():
    named = re.findall(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`", document("tests/CATALOGUE.md"))
    assert len(named) > 40
    for path, test in named:
        assert f"def {test}(" in document(path), f"{path}::{test}"


def test_the_catalogue_has_every_crash_point_and_no_id_twice():
    catalogue = document("tests/CATALOGUE.md")
    kills = document("tests/scenarios/test_kills.py") + document("tests/scenarios/test_kills_both_ways.py")
    points = re.findall(r"Point\(\s*\"([a-z-]+)\"", kills)
    assert points
    assert re.findall(r"\| `([a-z-]+)` \|$", catalogue, re.MULTILINE) == points
    ids = re.findall(r"^\| ([A-Z][0-9]+) \|", catalogue, re.MULTILINE)
    assert len(ids) == len(set(ids)) > 60
