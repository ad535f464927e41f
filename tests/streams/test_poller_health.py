"""What is said about a poller: to the host that probes it, and to people."""

import json
import threading
import urllib.error
import urllib.request

import pytest

from shared.core.errors import MetastoreUnavailable
from shared.engine.streams import QUEUE
from shared.poller.care import Care, Watching
from shared.poller.health import HealthServer
from shared.poller.poller import Poller
from tests.streams.world import MovableClock, Streaming, until

pytestmark = pytest.mark.usefixtures("quick")


def test_the_probe_says_whether_the_slot_is_read(live: Streaming):
    with live.streaming() as poller:
        health = HealthServer(("127.0.0.1", 0), live=poller.live, ready=poller.ready)
        health.start()
        try:
            assert asked(health, "/healthz") == (200, {"status": "ok"})
            status, body = asked(health, "/readyz")
            assert (status, body["status"], body["slots"][0]["state"]) == (200, "ready", "STREAMING")
            assert asked(health, "/else")[0] == 404
            live.world.sql(f"alter role {live.world.role} noreplication")
            live.world.sql(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = 'arcore_slot'"
            )
            until(lambda: asked(health, "/readyz")[0] == 503)
        finally:
            health.close()


def test_a_poller_that_hangs_is_not_live(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    clock, hung, goes_on = MovableClock(), threading.Event(), threading.Event()
    live.world.engine.clock = clock
    look = Care.look

    def hangs(self: Care) -> Watching:
        hung.set()
        assert goes_on.wait(60)
        return look(self)

    with live.streaming() as poller:
        assert poller.live() == (True, {"status": "ok"})
        with monkeypatch.context() as patch:
            patch.setattr(Care, "look", hangs)
            try:
                assert hung.wait(60)
                clock.ahead = 100.0
                assert poller.live()[0]
                clock.ahead = 400.0
                until(lambda: poller.live() == (False, {"status": "hangs", "at": [str(live.instance)]}), poller.live)
            finally:
                goes_on.set()
        until(lambda: poller.live()[0])


def asked(health: HealthServer, path: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{health.port}{path}", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_definition_says_whether_its_stream_moves(live: Streaming):
    def health() -> list[str]:
        found: list[str] = live.world.get(f"/sync-definitions/{live.definition}")["health"]
        return [sentence for sentence in found if "poller" in sentence or "stream" in sentence]

    assert "No poller has read this database yet" in health()[0]
    with live.streaming():
        until(lambda: health() == [], health)
    live.world.metastore("update syncbridge.stream_slots set heartbeat_at = heartbeat_at - interval '1 hour'")
    assert "No poller reads the replication slot" in health()[0]


def test_a_metastore_that_is_away_is_waited_for(live: Streaming, monkeypatch: pytest.MonkeyPatch):
    poller = Poller(live.world.engine, holder="p", jitter=lambda: 0.0)

    def away() -> None:
        poller.stop()
        raise MetastoreUnavailable("the metastore did not answer")

    monkeypatch.setattr(live.world.engine.stores.streams, "streamed", away)
    poller.run()
    assert poller.ready() == (
        False,
        {"status": "not ready", "problem": "the metastore did not answer", "slots": []},
    )
    assert QUEUE == "cdc-changes"
