"""When a queue that was empty is asked again: the host's randomized exponential back-off.

Source: RandomizedExponentialBackoffStrategy in github.com/Azure/azure-webjobs-sdk; the first delay is 100 ms, and the
delay grows to maxPollingInterval.
"""

from collections.abc import Callable
from datetime import timedelta

FIRST = timedelta(milliseconds=100)
_SPREAD = 0.2


class Backoff:
    """``uniform(low, high)`` gives the randomness."""

    def __init__(self, longest: timedelta, uniform: Callable[[float, float], float]) -> None:
        self._longest, self._uniform = max(longest, FIRST), uniform
        self._current, self._exponent = timedelta(0), 1

    def after(self, *, found: bool) -> timedelta:
        """The delay after an answer that had messages, or had none."""
        if found:
            self._current, self._exponent = FIRST, 1
        elif self._current != self._longest:
            factor: float = self._uniform(1 - _SPREAD, 1 + _SPREAD) * 2.0 ** (self._exponent - 1)
            following = FIRST + FIRST * factor
            if following < self._longest:
                self._current, self._exponent = following, self._exponent + 1
            else:
                self._current = self._longest
        return self._current
