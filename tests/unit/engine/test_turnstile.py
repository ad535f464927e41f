"""Who comes while there is no room leaves word, and no word is lost."""

import threading

from hypothesis import given
from hypothesis import strategies as st

from shared.engine.turnstile import Turnstile


def test_a_few_are_let_in_and_each_thing_has_room_of_its_own():
    turnstile = Turnstile()
    assert turnstile.enter("a", 2)
    assert turnstile.enter("a", 2)
    assert turnstile.enter("a", 2) is None
    assert turnstile.enter("b", 2)


def test_one_of_those_inside_stays_for_whoever_came_meanwhile():
    turnstile = Turnstile()
    first, second = turnstile.enter("a", 2), turnstile.enter("a", 2)
    assert first
    assert second
    assert turnstile.enter("a", 2) is None
    assert first.stays()
    assert not second.stays()
    assert not first.stays()
    assert turnstile.enter("a", 1)


def test_leaving_twice_is_leaving_once():
    turnstile = Turnstile()
    one, other = turnstile.enter("a", 2), turnstile.enter("a", 2)
    assert one
    assert other
    assert not one.stays()
    one.leave()
    one.leave()
    assert turnstile.enter("a", 2)
    assert turnstile.enter("a", 2) is None


@given(st.integers(1, 3), st.integers(2, 40))
def test_whatever_is_left_to_do_is_done_by_somebody(most, visitors):
    turnstile, todo, lock = Turnstile(), [0], threading.Lock()

    def visit() -> None:
        with lock:
            todo[0] += 1
        inside = turnstile.enter("a", most)
        if inside is None:
            return
        while True:
            with lock:
                todo[0] = 0
            if not inside.stays():
                return

    threads = [threading.Thread(target=visit) for _ in range(visitors)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert todo == [0]
