"""The golden logs: each has its scenario, and a log is a text that people can read."""

import re
from pathlib import Path

import pytest

from tests.scenarios import golden

LISTED = "/v1.0/sites/contoso.sharepoint.com,1,2/lists/0f0f-0f"


def test_every_golden_log_belongs_to_a_scenario():
    sources = "".join(path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    scenarios = {name.replace("_", "-") for name in re.findall(r"def test_([a-z0-9_]+)", sources)}
    logs = [path.stem for path in golden.FOLDER.iterdir()]
    assert logs
    assert [log for log in logs if not any(log == name or log.startswith(f"{name}-") for name in scenarios)] == []


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        (LISTED, "list"),
        (f"{LISTED}?$select=id", "list"),
        (f"{LISTED}/items/7?$expand=fields", "items/7"),
        (f"{LISTED}/items?$expand=fields&$filter=fields/Key eq 'a'", "items?$filter"),
        (f"{LISTED}/items/delta?token=secret", "items/delta"),
        (f"{LISTED}/items/microsoft.graph.delta()?token=secret", "items/delta"),
        ("/v1.0/$batch", "$batch"),
    ],
)
def test_a_path_is_told_below_its_list_without_tokens_and_filters(path: str, shown: str):
    assert golden.shortened(path) == shown


def test_what_was_inside_a_batch_stands_below_it_in_an_order_that_does_not_depend_on_chance():
    inner = [{"method": "PATCH", "path": f"{LISTED}/items/{n}", "status": 200} for n in (2, 1)]
    entry = {"method": "POST", "path": "/v1.0/$batch", "status": 0, "inner": inner}
    told = ["  POST $batch no answer", "    PATCH items/1 200", "    PATCH items/2 200"]
    assert list(golden.lines_of([entry])) == told


def test_a_log_that_differs_from_the_kept_one_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.delenv("UPDATE_GOLDEN", raising=False)
    with pytest.raises(AssertionError, match="no golden log"):
        golden.check("story", ["one"])
    monkeypatch.setenv("UPDATE_GOLDEN", "1")
    golden.check("story", ["one"])
    monkeypatch.delenv("UPDATE_GOLDEN")
    golden.check("story", ["one"])
    with pytest.raises(AssertionError, match="another log"):
        golden.check("story", ["two"])
