"""A case: one table, one list, and what users, people and the production engine do to them, told line by line."""

from collections.abc import Callable

from tests.scenarios.actors import People, Users
from tests.scenarios.drives import Drives


class Case(Users, People, Drives):
    """See Setting for what makes one."""


Maker = Callable[..., Case]
