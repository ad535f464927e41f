"""State survives: a kill, a restart, a dump and a load."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from infra.local.simulator import start
from tests.simulator.client import Client, create

pytestmark = pytest.mark.slow


def _spawn(folder: Path, *options: str) -> tuple[subprocess.Popen[str], Client]:
    command = [sys.executable, "-m", "infra.simulator", "--data", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Client(process.stdout.readline().removeprefix("READY ").strip())


def _end(process: subprocess.Popen[str], number: signal.Signals) -> int:
    os.kill(process.pid, number)
    code = process.wait(timeout=20)
    assert process.stdout is not None
    process.stdout.close()
    return code


def test_what_was_answered_is_there_after_a_kill(folder: Path) -> None:
    process, client = _spawn(folder)
    path = client.new_list("Staff", {"name": "Key", "text": {}, "indexed": True, "enforceUniqueValues": True})
    etag = client.add(path, Title="a", Key="k")["eTag"]
    client.batch(*(create(n, path, Title=f"b{n}") for n in range(20)))
    client.graph("DELETE", f"{path}/items/3")
    delta = client.graph("GET", f"{path}/items/delta?token=latest").json()["@odata.deltaLink"]
    client.graph("PATCH", f"{path}/items/2/fields", {"Title": "changed"})
    _end(process, signal.SIGKILL)
    client.close()

    process, client = _spawn(folder)
    assert client.graph("GET", f"{path}/items/1").json()["eTag"] == etag
    assert len(client.titles(path)) == 20
    assert client.graph("POST", f"{path}/items", {"fields": {"Key": "K"}}).status_code == 409
    assert client.add(path)["id"] == "22"
    changed = client.graph("GET", f"{path}/items/delta?{delta.partition('?')[2]}").json()["value"]
    assert {entry["id"] for entry in changed} == {"2", "22"}
    assert client.graph("GET", f"{path}/items/2/versions").json()["value"][0]["id"] == "2.0"
    client.close()
    _end(process, signal.SIGTERM)


def test_knobs_switches_tokens_and_the_days_budget_outlive_a_restart(folder: Path) -> None:
    process, client = _spawn(folder)
    client.control("PUT", "knobs", {"page_size_default": 3})
    client.control("PUT", "rules/PAGE-TOP", {"broken": True})
    client.graph("GET", "/sites/root")
    token = client.token()
    spent = client.control("GET", "budget")["windows"][0]["day"]
    assert _end(process, signal.SIGTERM) == 0
    client.close()

    process, client = _spawn(folder)
    assert client.control("GET", "knobs")["page_size_default"] == 3
    assert client.control("GET", "rules")["broken"] == ["PAGE-TOP"]
    answer = client.http.get("/v1.0/sites/root", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200
    assert client.control("GET", "budget")["windows"][0]["day"] == spent + 1
    client.close()
    _end(process, signal.SIGINT)


def test_a_dump_loaded_elsewhere_is_the_same_service(sim: Client) -> None:
    path = sim.new_list("Staff", {"name": "Key", "text": {}, "indexed": True})
    sim.add(path, Title="a", Key="one")
    sim.add(path, Title="b", Key="two")
    sim.graph("PATCH", f"{path}/items/1/fields", {"Title": "a2"})
    sim.add(path, Title="c")
    for number in (2, 3):
        sim.graph("DELETE", f"{path}/items/{number}")
    bin_ = f"people/lists/{path.rpartition('/')[2]}/recycle-bin"
    sim.control("DELETE", f"{bin_}/3")
    text = sim.http.get("/_sim/dump").content

    sim.control("POST", "reset")
    assert sim.http.post("/_sim/load", content=text).status_code == 200

    other = Client(sim.address)
    assert other.titles(path) == ["a2"]
    assert len(other.graph("GET", f"{path}/items?$filter=fields/Key eq 'one'").json()["value"]) == 1
    assert other.graph("GET", f"{path}/items/1/versions/1.0/fields").json()["Title"] == "a"
    assert [item["id"] for item in other.control("GET", bin_)["items"]] == [2]
    other.control("POST", f"{bin_}/2/restore")
    assert other.titles(path) == ["a2", "b"]
    assert other.add(path)["id"] == "4"
    other.close()


def test_a_load_of_anything_else_is_refused_and_changes_nothing(sim: Client) -> None:
    path = sim.new_list()
    sim.add(path, Title="a")
    lost = b'{"kind": "item", "key": 999999999999, "values": {}, "versions": []}'
    for text in (b'{"kind": "cake"}', b"no json", b"[]", b'{"kind": "site", "id": "1", "doc": {}}', lost):
        assert sim.http.post("/_sim/load", content=text).status_code == 400

    assert sim.titles(path) == ["a"]
    assert sim.add(path, Title="b")["id"] == "2"


def test_a_configuration_file_sets_knobs_tenants_and_faults(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text(
        '{"knobs": {"throttling": false}, "clock": {"mode": "virtual", "set": "2030-01-01T00:00:00Z"},'
        ' "tenants": [{"name": "fabrikam", "apps": [{"client_id": "a", "secret": "b", "roles": ["Sites.Read.All"]}]}],'
        ' "faults": {"preset": "rough", "rate": 0}}'
    )
    ready = tmp_path / "ready"
    simulator = start(folder, options=["--config", str(config), "--ready-file", str(ready)])
    with httpx.Client(base_url=simulator.url) as client:
        assert ready.read_text() == simulator.url
        assert client.get("/_sim/clock").json()["now"] == "2030-01-01T00:00:00Z"
        names = [tenant["name"] for tenant in client.get("/_sim/tenants").json()["tenants"]]
        assert sorted(names) == ["contoso", "fabrikam"]
        assert client.get("/_sim/knobs").json()["throttling"] is False
        assert client.get("/_sim/faults").json()["plan"]["preset"] == "rough"
    simulator.stop()


def test_a_configuration_that_does_not_fit_ends_the_start_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"knobs": {"colour": 1}}')
    command = [sys.executable, "-m", "infra.simulator", "--data", str(folder), "--config", str(config)]

    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 2
    assert done.stderr == "the configuration cannot be used: there is no knob colour\n"


def test_a_folder_has_one_simulator_and_a_port_one_server(folder: Path, tmp_path: Path) -> None:
    process, client = _spawn(folder)
    command = [sys.executable, "-m", "infra.simulator", "--data"]
    port = client.address.rpartition(":")[2]

    same_folder = subprocess.run([*command, str(folder)], capture_output=True, text=True, timeout=30, check=False)
    same_port = [*command, str(tmp_path / "other"), "--port", port]
    taken = subprocess.run(same_port, capture_output=True, text=True, timeout=30, check=False)

    assert (same_folder.returncode, "is another simulator at work there?" in same_folder.stderr) == (2, True)
    assert (taken.returncode, f"port {port} cannot be used" in taken.stderr) == (2, True)
    client.close()
    _end(process, signal.SIGTERM)


def test_a_tenant_that_does_not_fit_leaves_no_half_of_itself(sim: Client) -> None:
    sim.control("POST", "tenants", {"name": "half", "licences": "many"}, status=400)
    bad = {"name": "contoso", "multiplier": 3, "apps": [{"client_id": "x", "surprise": 1}]}
    sim.control("POST", "tenants", bad, status=400)

    (tenant,) = sim.control("GET", "tenants")["tenants"]
    assert (tenant["name"], tenant["multiplier"]) == ("contoso", 1.0)


def test_a_tenants_members_are_checked_before_anything_is_made(sim: Client) -> None:
    for body, words in (
        ({"name": "n", "apps": [{"secret": "x"}]}, "an app needs client_id"),
        ({"name": "n", "apps": [{"client_id": "x", "roles": "all"}]}, "roles of an app"),
        ({"name": "n", "apps": [{"client_id": "x", "certificates": ["no PEM"]}]}, "certificates of an app"),
        ({"name": "n", "sites": [{"path": "hr"}]}, "path of a site"),
        ({"name": "n", "sites": [{"path": "/hr", "timezone": "Middle/Earth"}]}, "timezone of a site"),
        ({"name": "n", "sites": [{"path": "/hr", "parent": "/nowhere"}]}, "no site /nowhere"),
        (
            {"name": "n", "sites": [{"path": "/hr", "grants": [{"client_id": "x", "roles": ["king"]}]}]},
            "roles of a grant",
        ),
        ({"name": "n", "sites": [{"path": "/hr", "users": [{"id": 1}]}]}, "a user needs name"),
        ({"licences": 5}, "a new tenant needs a name"),
    ):
        assert words in sim.control("POST", "tenants", body, status=400)["error"]["message"]
    assert len(sim.control("GET", "tenants")["tenants"]) == 1
