import stat
from dataclasses import replace

import pytest

from infra.local import state as local
from infra.local.errors import LocalStackError


def test_a_state_is_the_same_after_a_restart_and_only_its_owner_reads_the_file(tmp_path):
    state = replace(local.load(tmp_path / "stack"), ports={"postgres": 5433})
    local.save(state)

    assert local.load(tmp_path / "stack") == state
    assert stat.S_IMODE((tmp_path / "stack/state.json").stat().st_mode) == 0o600


def test_two_states_share_no_secret(tmp_path):
    one, two = local.load(tmp_path / "one"), local.load(tmp_path / "two")
    for name in ("postgres_password", "source_password", "secret_key", "host_key"):
        assert getattr(one, name) != getattr(two, name)
        assert getattr(one, name) not in repr(one)


def test_postgresql_lies_elsewhere_when_its_user_cannot_enter_the_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "can_enter", lambda *_: False)
    elsewhere = local.postgres_base(tmp_path)
    assert not elsewhere.is_relative_to(tmp_path)
    assert elsewhere == local.postgres_base(tmp_path)
    assert elsewhere != local.postgres_base(tmp_path / "another")


@pytest.mark.parametrize("text", ["", "[]", '{"colour": "blue"}', "not json"])
def test_a_state_file_that_is_none_of_ours_is_refused_with_a_way_out(tmp_path, text):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(LocalStackError, match=r"state.json cannot be read .*: run `make clean-local` to start afresh"):
        local.load(tmp_path)
