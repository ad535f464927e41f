"""Checksums of a scan: how source and metastore make equal ones of equal rows, so that only what differs has to travel.

Rows fall into buckets by a hash of their identity. Of each bucket both servers tell the number of rows and the exclusive
or of a hash over identity and stamp together; over stamps alone, two rows that swap their contents would cancel out.
Both hash with PostgreSQL's `hashtextextended`, whose values are promised to nobody beyond one server: PROBE and
PROBE_SEED go through both, and only servers that answer alike are compared by checksums.
"""

from collections.abc import Iterable
from typing import Final

BUCKETS: Final = 1 << 16
"""Many enough that a change fetches a handful of rows of a million, and few enough to be nothing beside them."""

PROBE: Final = '["a key of more than a dozen bytes, as rows have them"]'
"""ASCII, so that it has the same bytes in every encoding; the encodings are compared beside it."""
PROBE_SEED: Final = -0x1234_5678_9ABC_DEF0


def bitmap(buckets: Iterable[int]) -> bytes:
    """A bit per bucket, in the order of PostgreSQL's `get_bit`."""
    bits = bytearray(BUCKETS // 8)
    for bucket in buckets:
        bits[bucket >> 3] |= 1 << (bucket & 7)
    return bytes(bits)
