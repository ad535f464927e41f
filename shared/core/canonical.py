"""Canonical values: what is left of a value once both sides' storage has had its way with it."""

Canonical = None | bool | int | str | tuple[str, ...]
"""Only canonical values are compared or hashed, and only with values of the same field.

None      no value; an empty text and an empty multi-choice are the same
bool      yes/no
int       a whole number of at most 2^53 either side of zero, and ids of items and people
str       text with LF line ends; other numbers with 15 significant digits; times as 2026-01-31T12:00:00Z;
          dates as 2026-01-31
tuple     a multi-choice: distinct, not empty, in code point order
"""
