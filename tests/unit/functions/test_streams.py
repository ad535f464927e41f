"""The queue triggers of change streams hand over the message's text, whatever its bytes are, and raise what the engine raises."""

from collections.abc import Callable
from types import SimpleNamespace

import azure.functions as func
import pytest

from functions import names, streams
from shared.core.errors import MetastoreUnavailable


def called(
    function: Callable[..., None], body: bytes, monkeypatch: pytest.MonkeyPatch, engine: SimpleNamespace
) -> None:
    monkeypatch.setattr(streams, "engine", lambda: engine)
    function(func.QueueMessage(id="1", body=body))


def of(name: str) -> Callable[..., None]:
    (builder,) = [b for b in streams.blueprint._function_builders if b._function.get_user_function().__name__ == name]
    return builder._function.get_user_function()


@pytest.mark.parametrize(("name", "method"), [("changes_arrived", "take_message"), ("changes_poisoned", "park_poison")])
def test_a_trigger_hands_over_the_text(monkeypatch: pytest.MonkeyPatch, name: str, method: str):
    taken: list[str] = []
    engine = SimpleNamespace(**{method: taken.append})
    called(of(name), b'{"n": "Z\xc3\xbcrich"}', monkeypatch, engine)
    called(of(name), b"\xff\x00", monkeypatch, engine)
    assert taken == ['{"n": "Zürich"}', "\ufffd\x00"]


def test_a_message_that_cannot_be_marked_fails_so_that_it_comes_again(monkeypatch: pytest.MonkeyPatch):
    def away(_: str) -> None:
        raise MetastoreUnavailable("the metastore did not answer")

    with pytest.raises(MetastoreUnavailable):
        called(of("changes_arrived"), b"{}", monkeypatch, SimpleNamespace(take_message=away))


def test_both_queues_are_listened_to():
    bindings = {
        builder._function.get_trigger().queue_name: builder._function.get_trigger().connection
        for builder in streams.blueprint._function_builders
    }
    assert bindings == {
        "cdc-changes": names.QUEUE_CONNECTION,
        "cdc-changes-poison": names.QUEUE_CONNECTION,
    }
