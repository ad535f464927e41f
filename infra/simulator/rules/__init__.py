"""The catalogue: every rule that the simulator keeps, with its public source or the reason for its default."""

from typing import Final

from .access import AUTH, SITE
from .items import ETAG, ITEM, VER
from .lists import COL, LIST
from .model import AREAS, Kind, Rule
from .notices import SUB
from .queries import DELTA, FILTER, PAGE
from .traffic import BATCH, ERR, HDR, RU
from .values import VAL

RULES: Final[tuple[Rule, ...]] = (
    *AUTH,
    *SITE,
    *LIST,
    *COL,
    *ITEM,
    *ETAG,
    *VER,
    *VAL,
    *FILTER,
    *PAGE,
    *DELTA,
    *BATCH,
    *RU,
    *SUB,
    *ERR,
    *HDR,
)

__all__ = ["AREAS", "RULES", "Kind", "Rule"]
