"""What is said about messages that failed again and again."""

import pytest

from shared.usecases.queues import advice


@pytest.mark.parametrize(
    ("parked", "dropped", "failed", "said"),
    [
        (1, 1, 1, "/api/v1/ops/changes/parked/{message_id}/replay"),
        (0, 1, 1, "the poison queue"),
        (0, 1, 0, "/api/v1/ops/ingress/{definition_id}"),
    ],
)
def test_the_worst_is_told_with_what_to_do(parked: int, dropped: int, failed: int, said: str):
    found = advice(parked=parked, dropped=dropped, failed=failed)
    assert found is not None
    assert said in found


def test_where_nothing_failed_there_is_nothing_to_do():
    assert advice(parked=0, dropped=0, failed=0) is None
