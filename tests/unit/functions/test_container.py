"""The one engine of a process."""

import gc
from types import SimpleNamespace

import pytest

from functions import container


def test_the_engine_is_built_once_and_left_out_of_collections_with_all_that_was_loaded(monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    made = SimpleNamespace(open=lambda: opened.append("open"))
    monkeypatch.setattr(container, "_engine", None)
    monkeypatch.setattr(container, "from_env", lambda _: None)
    monkeypatch.setattr(container.Engine, "from_settings", lambda _: made)
    gc.unfreeze()
    try:
        assert container.engine() is made
        assert container.engine() is made
        assert opened == ["open"]
        assert gc.get_freeze_count() > 1_000
    finally:
        gc.unfreeze()
