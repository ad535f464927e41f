"""A host that cannot start says why in one sentence, and leaves with 1."""

import json
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.conftest import HostMaker
from tests.host.mistakes import MISTAKES, Mistake
from tests.host.running import APPS, ROOT

pytestmark = pytest.mark.slow

HOST = {"version": "2.0"}
APP = """
import azure.durable_functions as df
app = df.DFApp()

@app.activity_trigger(input_name="x")
def act(x): return x
"""


def refusal(root: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "infra.local.host", "--root", str(root), "--port", "0", *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("error: "), done.stderr
    assert "Traceback" not in done.stderr
    return last


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "host.json").write_text(json.dumps(HOST))
    (tmp_path / "function_app.py").write_text(APP)
    return tmp_path


def test_a_folder_without_host_json_is_named(tmp_path: Path):
    assert f"{tmp_path / 'host.json'} does not exist" in refusal(tmp_path)


def test_a_folder_without_function_app_is_named(app: Path):
    (app / "function_app.py").unlink()
    assert f"{app / 'function_app.py'} does not exist" in refusal(app)


def test_an_app_that_cannot_be_imported_says_where(app: Path):
    (app / "function_app.py").write_text("import nosuchmodule\n")
    assert re.search(r"function_app\.py cannot be imported: ModuleNotFoundError: .*function_app\.py:1", refusal(app))


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.name)
def test_an_app_that_would_not_load_in_azure_is_refused(app: Path, mistake: Mistake):
    (app / "function_app.py").write_text(mistake.source)
    assert mistake.host_says in refusal(app)


def test_a_wrong_value_in_host_json_is_named_with_its_path(app: Path):
    (app / "host.json").write_text(json.dumps(HOST | {"extensions": {"queues": {"batchSize": 33}}}))
    assert "extensions.queues.batchSize must be a whole number from 1 to 32, not 33" in refusal(app)


def test_a_list_of_functions_that_names_an_unknown_one_is_refused(app: Path):
    (app / "host.json").write_text(json.dumps(HOST | {"functions": ["nosuch"]}))
    assert "functions names nosuch, which the app does not have" in refusal(app)


def test_a_wrong_local_setting_is_named_and_its_value_is_not_shown(app: Path):
    (app / "local.settings.json").write_text('{"Values": {"A": 4711}}')
    said = refusal(app)
    assert "local.settings.json: the value of A must be a text in quotes" in said
    assert "4711" not in said


def test_a_taken_port_is_named_with_the_way_out(app: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} is taken: stop the program that has it, or start with --port 0" in refusal(
            app, "--port", str(port)
        )


def test_a_missing_queue_service_is_named_with_its_connection(tmp_path: Path):
    root = tmp_path / "app"
    shutil.copytree(APPS / "plumbing", root)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    text = f"AccountName=devstoreaccount1;AccountKey=a2V5;QueueEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
    values = {"INBOX": "in", "OUTBOX": "out", "HOURLY": "0 0 * * * *"}
    said = refusal(root, AzureWebJobsStorage=text, **values)
    assert "The queue service of the connection AzureWebJobsStorage does not answer" in said
    assert "start Azurite" in said
    assert "holds no storage connection string" in refusal(root, **values)
    assert "identity-based" in refusal(root, AzureWebJobsStorage__accountName="x", **values)


def test_a_state_file_of_a_running_host_is_refused(new_host: HostMaker):
    host = new_host("flows")
    assert "is in use by another running host" in refusal(APPS / "flows", "--state", str(host.folder / "state.db"))


def test_a_state_file_that_is_none_is_refused(app: Path):
    (app / "state.db").write_text("not a database, but long enough to be looked at as one by SQLite" * 10)
    assert "cannot be used as the state file" in refusal(app, "--state", str(app / "state.db"))
