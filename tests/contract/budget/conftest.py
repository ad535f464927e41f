"""The two budgets that have to behave alike: the one in memory, and a metastore's."""

from collections.abc import Callable, Iterator

import pytest

from shared.adapters.metastore.budget import BudgetStore
from shared.adapters.metastore.pool import Metastore
from shared.core.estimate import Ceiling
from shared.ports import Budget
from tests.fakes.budget import FakeBudget

Make = Callable[[Ceiling], Budget]


@pytest.fixture(params=["memory", pytest.param("metastore", marks=[pytest.mark.server, pytest.mark.postgres])])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """A function that makes a fresh budget of a ceiling."""
    if request.param == "memory":
        yield FakeBudget
    else:
        with Metastore(request.getfixturevalue("metastore")) as metastore:
            yield lambda limit: BudgetStore(metastore, tenant="t", client="c", limit=limit)
