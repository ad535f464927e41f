"""Unexpected errors, for the log: what and where, never the message, which may hold a row's values or a secret."""

import traceback
from pathlib import PurePath

FRAMES = 6


def describe(error: BaseException) -> str:
    """ "ValueError at items.py:12 in read < page.py:80 in look < …", the innermost frame first."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    where = " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in reversed(frames))
    return f"{type(error).__name__} at {where or 'an unknown place'}"
