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
from tests.host.running import APPS, ROOT

HOST = {"version": "2.0"}
IMPORTS = "import azure.durable_functions as df\nimport azure.functions as func\napp = df.DFApp()\n"
ACTIVITY = '@app.activity_trigger(input_name="x")\ndef act(x): return x\n'


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
    (tmp_path / "function_app.py").write_text(IMPORTS + ACTIVITY)
    return tmp_path


def test_a_folder_without_host_json_is_named(tmp_path: Path):
    assert f"{tmp_path / 'host.json'} does not exist" in refusal(tmp_path)


def test_a_folder_without_function_app_is_named(app: Path):
    (app / "function_app.py").unlink()
    assert f"{app / 'function_app.py'} does not exist" in refusal(app)


def test_an_app_that_cannot_be_imported_says_where(app: Path):
    (app / "function_app.py").write_text("import nosuchmodule\n")
    assert re.search(r"function_app\.py cannot be imported: ModuleNotFoundError: .*function_app\.py:1", refusal(app))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "exactly one FunctionApp or DFApp at module level, it holds 0"),
        (IMPORTS + "other = func.FunctionApp()\n", "it holds 2"),
        (IMPORTS, "No functions found"),
        (IMPORTS + "@app.route()\ndef f(req: func.HttpRequest, y: str) -> str: ...\n", "declared in Python but not by a decorator: ['y']"),
        (IMPORTS + "@app.route()\ndef f() -> str: ...\n", "declared as bindings but are not present in Python: ['req']"),
        (IMPORTS + "@app.route()\ndef f(req: int) -> str: ...\n", 'does not match its Python annotation "int"'),
        (IMPORTS + "@app.route()\ndef f(req: func.HttpRequest) -> int: ...\n", 'return annotation "int" does not match binding type "http"'),
        (
            IMPORTS + '@app.timer_trigger(schedule="* * *", arg_name="t")\ndef f(t: func.TimerRequest): ...\n',
            "an NCRONTAB schedule has six: second minute hour day month day-of-week",
        ),
        (
            IMPORTS + '@app.timer_trigger(schedule="%WHEN%", arg_name="t")\ndef f(t: func.TimerRequest): ...\n',
            "f: schedule uses %WHEN%, but no app setting or environment variable WHEN exists",
        ),
        (
            IMPORTS + '@app.route(route="a/{x:colour}")\ndef f(req: func.HttpRequest) -> str: ...\n',
            "does not know the route constraint 'colour'",
        ),
        (
            IMPORTS + '@app.blob_trigger(arg_name="b", path="c/n", connection="S")\ndef f(b: func.InputStream): ...\n',
            "no binding of type blobTrigger",
        ),
        (
            IMPORTS
            + '@app.queue_output(arg_name="o", queue_name="q", connection="S")\n@app.route()\n'
            + "def f(req: func.HttpRequest, o: str) -> str: ...\n",
            "its annotation is not azure.functions.Out",
        ),
    ],
)  # fmt: skip
def test_an_app_that_the_worker_would_not_load_is_refused(app: Path, source: str, said: str):
    (app / "function_app.py").write_text(source)
    assert said in refusal(app)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, 'version must be "2.0"'),
        ({"extensions": {"queues": {"batchSize": 33}}}, "extensions.queues.batchSize must be a whole number from 1 to 32, not 33"),
        ({"extensions": {"queues": {"maxPollingInterval": "fast"}}}, "extensions.queues.maxPollingInterval must be a time span"),
        ({"extensions": {"queues": {"messageEncoding": "zip"}}}, 'messageEncoding must be "base64" or "none"'),
        ({"extensions": {"durableTask": {"hubName": "my-hub"}}}, "extensions.durableTask.hubName must be 1 to 45 letters"),
        ({"extensions": []}, "extensions must be an object"),
        ({"functionTimeout": 5}, "functionTimeout must be a time span"),
        ({"functions": ["nosuch"]}, "functions names nosuch, which the app does not have"),
    ],
)  # fmt: skip
def test_a_wrong_value_in_host_json_is_named_with_its_path(app: Path, document: dict, said: str):
    (app / "host.json").write_text(json.dumps((HOST if document else {}) | document))
    assert said in refusal(app)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ('{"Values": {"A": 1}}', "the value of A must be a text in quotes"),
        ('{"IsEncrypted": true, "Values": {"A": "x"}}', "is encrypted"),
        ('{"Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}', "Python function apps only"),
        ('{"Values": {"PYTHON_SCRIPT_FILE_NAME": "src/app.py"}}', "takes a bare file name"),
        ('{"Values": {"PYTHON_THREADPOOL_THREAD_COUNT": "many"}}', "must be a whole number from 1 to 1000"),
        ("{", "is not valid JSON"),
    ],
)  # fmt: skip
def test_a_wrong_local_setting_is_named(app: Path, document: str, said: str):
    (app / "local.settings.json").write_text(document)
    assert said in refusal(app)


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
