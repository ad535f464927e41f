from pathlib import Path

import pytest
from azure.storage.queue import QueueClient

from infra.local import azurite as local
from infra.local.errors import LocalStackError


@pytest.mark.slow
def test_a_message_sent_to_the_queue_service_comes_back(azurite, queue_name):
    with QueueClient.from_connection_string(azurite.connection_string, queue_name) as queue:
        queue.create_queue()
        queue.send_message("hello")
        assert [message.content for message in queue.receive_messages()] == ["hello"]


@pytest.mark.slow
def test_messages_survive_a_restart_on_the_same_port(tmp_path):
    first = local.start(tmp_path)
    with QueueClient.from_connection_string(first.connection_string, "kept") as queue:
        queue.create_queue()
        queue.send_message("hello")
    first.stop()

    second = local.start(tmp_path, port=first.port)
    try:
        assert second.connection_string == first.connection_string
        with QueueClient.from_connection_string(second.connection_string, "kept") as queue:
            assert [message.content for message in queue.receive_messages()] == ["hello"]
    finally:
        second.stop()


def test_a_machine_without_node_is_told_what_to_install():
    with pytest.raises(
        LocalStackError, match=r"Node.js was not found: install Node.js 20 or newer and run `make setup`"
    ):
        local.find_node({"PATH": "/nowhere"})


def test_a_node_that_is_too_old_is_refused_with_its_version(tmp_path):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.19.0\n")
    node.chmod(0o755)
    with pytest.raises(LocalStackError, match=r"Node.js v18.19.0 is too old"):
        local.find_node({"PATH": str(tmp_path)})


def test_a_missing_azurite_is_named_with_its_version(monkeypatch, tmp_path):
    (tmp_path / "package.json").write_text(Path(local.HERE / "package.json").read_text())
    monkeypatch.setattr(local, "HERE", tmp_path)
    with pytest.raises(LocalStackError, match=r"Azurite 3.35.0 is not installed: run `make setup`"):
        local.start(tmp_path)


@pytest.mark.slow
def test_blobs_and_tables_come_beside_the_queues_where_core_tools_needs_them(tmp_path):
    server = local.start(tmp_path, everything=True)
    try:
        assert set(server.ports) == {"queue", "blob", "table"}
        assert len(set(server.ports.values())) == 3
        for name, port in server.ports.items():
            assert f"{name.title()}Endpoint=http://127.0.0.1:{port}/devstoreaccount1" in server.connection_string
        with QueueClient.from_connection_string(server.connection_string, "kept") as queue:
            queue.create_queue()
    finally:
        server.stop()
