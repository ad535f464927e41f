import json
import os
import stat
import sys

import pytest

from infra.local import host_process
from infra.local.errors import LocalStackError
from infra.local.ports import free_port

# Stands where Core Tools would: answers HTTP on the port it was given, and shows what it was told.
FUNC = f"""#!{sys.executable}
import http.server, json, os, sys
print(json.dumps([sys.argv[1:], os.environ["SYNCBRIDGE_COMPANY"], "SECRET_OF_THE_SHELL" in os.environ]), flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[3])), http.server.BaseHTTPRequestHandler).serve_forever()
"""


def test_host_func_without_core_tools_says_where_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(LocalStackError, match="HOST=func needs Azure Functions Core Tools on PATH: install them"):
        host_process.start("func", port=free_port(), directory=tmp_path, values={}, keep_open=())


def test_host_func_runs_core_tools_with_our_settings_and_nothing_else_of_the_shell(tmp_path, monkeypatch):
    (tmp_path / "func").write_text(FUNC)
    (tmp_path / "func").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SECRET_OF_THE_SHELL", "x")
    port = free_port()
    host = host_process.start(
        "func", port=port, directory=tmp_path, values={"SYNCBRIDGE_COMPANY": "Acme"}, keep_open=()
    )
    try:
        told = json.loads((tmp_path / "host.log").read_text().splitlines()[0])
        assert told == [["start", "--port", str(port)], "Acme", False]
    finally:
        host.stop()


def test_the_hosts_settings_are_a_file_of_their_own_that_only_its_owner_reads(tmp_path):
    path = tmp_path / "local.settings.json"
    host_process.write_settings(path, {"SYNCBRIDGE_COMPANY": "Acme"})
    assert json.loads(path.read_text()) == {"IsEncrypted": False, "Values": {"SYNCBRIDGE_COMPANY": "Acme"}}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
