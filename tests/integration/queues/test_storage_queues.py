"""Sending to storage queues: a real queue service, and servers that answer as one in trouble does."""

import base64
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy

from infra.local.ports import free_port
from shared.adapters.queue import API_VERSION, MAX_BYTES, StorageQueues
from shared.core.errors import ConfigurationError, InvariantViolated, PermissionMissing, QueueUnavailable

KEY = base64.b64encode(b"k" * 64).decode()


def connection_to(port: int) -> str:
    return f"DefaultEndpointsProtocol=http;AccountName=acc;AccountKey={KEY};QueueEndpoint=http://127.0.0.1:{port}/acc;"


@pytest.fixture
def queues(azurite) -> Iterator[StorageQueues]:
    found = StorageQueues(azurite.connection_string)
    yield found
    found.close()


@pytest.fixture
def reader(azurite, queue_name) -> Iterator[QueueClient]:
    with QueueClient.from_connection_string(
        azurite.connection_string, queue_name, api_version=API_VERSION, message_decode_policy=TextBase64DecodePolicy()
    ) as client:
        yield client


@pytest.fixture
def answering() -> Iterator[object]:
    """A function that starts a server which answers every request with this status, and answers its port."""
    servers = []

    def start(status: int) -> int:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers.get("content-length") or 0))
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_PUT(self):
                self.do_POST()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_first_message_makes_the_queue_and_every_message_never_runs_out(queues, reader, queue_name):
    queues.put(queue_name, '{"n":1}')
    queues.put(queue_name, '{"n":"Zürich \\u0001"}')

    found = list(reader.receive_messages())
    assert [message.content for message in found] == ['{"n":1}', '{"n":"Zürich \\u0001"}']
    assert all(message.expires_on.year == 9999 for message in found)


def test_many_senders_at_once_make_one_queue_and_lose_nothing(queues, reader, queue_name):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: queues.put(queue_name, str(n)), range(64)))

    found = [message.content for page in reader.receive_messages(messages_per_page=32).by_page() for message in page]
    assert sorted(found, key=int) == [str(n) for n in range(64)]


def test_the_largest_message_goes_and_one_byte_more_is_refused_before_it_is_sent(queues, reader, queue_name):
    queues.put(queue_name, "x" * MAX_BYTES)
    with pytest.raises(InvariantViolated, match="49,153 bytes"):
        queues.put(queue_name, "x" * (MAX_BYTES + 1))

    [message] = reader.receive_messages()
    assert len(message.content) == MAX_BYTES


def test_a_message_with_a_delay_is_there_and_seen_by_nobody(queues, reader, queue_name):
    queues.put(queue_name, "later", delay=3600.5)
    queues.put(queue_name, "now")

    assert [message.content for message in reader.receive_messages()] == ["now"]
    assert queues.depth(queue_name) == 2


def test_a_queue_that_nobody_sent_to_is_empty(queues, queue_name):
    assert queues.depth(queue_name) == 0


def test_a_queue_service_that_is_away_does_not_say_how_long_a_queue_is():
    queues = StorageQueues(connection_to(free_port()))
    with pytest.raises(QueueUnavailable, match="did not say how long it is: ServiceRequestError"):
        queues.depth("cdc-changes")
    queues.close()


def test_a_queue_service_that_is_away_is_named_without_its_address():
    queues = StorageQueues(connection_to(free_port()))
    with pytest.raises(QueueUnavailable) as caught:
        queues.put("graph-notifications", "{}")
    assert caught.value.message == "queue graph-notifications took no message: ServiceRequestError"
    queues.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [(500, QueueUnavailable), (503, QueueUnavailable), (403, PermissionMissing), (401, PermissionMissing)],
)
def test_an_answer_that_is_no_yes_raises_what_it_means(answering, status, kind):
    queues = StorageQueues(connection_to(answering(status)))
    with pytest.raises(kind) as caught:
        queues.put("graph-notifications", "{}")
    assert "graph-notifications" in caught.value.message
    assert KEY not in caught.value.message
    queues.close()


def test_a_text_that_is_no_connection_string_is_refused_and_not_shown():
    with pytest.raises(ConfigurationError) as caught:
        StorageQueues("AccountKey=hunter2").put("graph-notifications", "{}")
    assert "hunter2" not in caught.value.message
    assert "SYNCBRIDGE_QUEUE_CONNECTION" in caught.value.message


def test_with_a_service_url_the_credential_is_asked_and_the_connection_string_is_not_looked_at():
    asked = []

    class Credential:
        def get_token(self, *scopes, **_):
            asked.append(scopes)
            raise AssertionError("no token is needed to see that it is asked")

    queues = StorageQueues(
        "no connection string", service="https://account.queue.core.windows.net", credential=Credential
    )
    with pytest.raises(AssertionError, match="no token"):
        queues.put("graph-notifications", "{}")
    assert asked == [("https://storage.azure.com/.default",)]
    queues.close()
