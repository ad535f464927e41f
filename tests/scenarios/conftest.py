"""One theatre for all scenarios of this process, and cases in it."""

import re
from collections.abc import Callable, Iterator

import pytest

from tests.fixtures.postgres import Databases
from tests.scenarios.case import Case
from tests.scenarios.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    with open_theatre(databases, tmp_path_factory.mktemp("simulator")) as made:
        yield made


@pytest.fixture
def new_case(theatre: Theatre, request: pytest.FixtureRequest) -> Iterator[Callable[..., Case]]:
    """A function that opens the test's one case; see Case for what it takes."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")
    made: list[Case] = []

    def make(*arguments: object, **options: object) -> Case:
        made.append(Case(theatre, name, *arguments, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for case in made:
        case.close()


@pytest.fixture
def case(new_case: Callable[..., Case]) -> Case:
    """Staff, kept both ways; the key is a column of the list."""
    return new_case()
