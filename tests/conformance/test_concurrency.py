"""Many clients at once: conditional writes and unique columns let one through."""

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from infra.simulator.probe.ask import status
from infra.simulator.probe.rig import text
from tests.conformance.world import World

pytestmark = pytest.mark.slow

CLIENTS = 8


def test_counting_with_if_match_loses_no_count(world: World) -> None:
    path = world.rig.new_list({"name": "Num", "number": {}})
    world.rig.add(path, Num=0)
    url = f"{world.rig.graph_url}{path}/items/1"
    headers = {"Authorization": f"Bearer {world.rig.token()}"}
    world.sim.knobs(throttling=False)

    def count(times: int) -> int:
        """Add one, `times` times, reading again after each 412; gives the number of 412s."""
        lost = 0
        with httpx.Client(headers=headers, timeout=20) as client:
            for _ in range(times):
                while True:
                    read = client.get(f"{url}?$expand=fields").json()
                    body = {"Num": read["fields"]["Num"] + 1}
                    answer = client.patch(f"{url}/fields", json=body, headers={"If-Match": read["eTag"]})
                    if answer.status_code == 200:
                        break
                    assert answer.status_code == 412
                    lost += 1
        return lost

    with ThreadPoolExecutor(CLIENTS) as pool:
        lost = sum(pool.map(count, [10] * CLIENTS))

    assert world.rig.read(path, "1")["Num"] == 10 * CLIENTS
    assert lost > 0, "the clients never met, so this proved nothing"


def test_a_unique_column_lets_one_of_many_creations_through(world: World) -> None:
    path = world.rig.new_list(text("UniqueKey", indexed=True, enforceUniqueValues=True))
    headers = {"Authorization": f"Bearer {world.rig.token()}"}

    def create(_: int) -> int:
        with httpx.Client(headers=headers, timeout=20) as client:
            return client.post(f"{world.rig.graph_url}{path}/items", json={"fields": {"UniqueKey": "k"}}).status_code

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = sorted(pool.map(create, range(CLIENTS)))

    assert statuses == [201] + [409] * (CLIENTS - 1)
    assert len(status(world.rig.get(f"{path}/items"), 200).json()["value"]) == 1


def test_a_creation_inside_a_batch_and_one_outside_never_share_an_id(world: World) -> None:
    path = world.rig.new_list()
    headers = {"Authorization": f"Bearer {world.rig.token()}"}
    one = {
        "method": "POST",
        "url": f"{path}/items",
        "headers": {"Content-Type": "application/json"},
        "body": {"fields": {}},
    }

    def create(number: int) -> list[str]:
        with httpx.Client(headers=headers, timeout=20) as client:
            if number % 2:
                return [client.post(f"{world.rig.graph_url}{path}/items", json={"fields": {}}).json()["id"]]
            requests = [{**one, "id": str(each)} for each in range(20)]
            answer = client.post(f"{world.rig.graph_url}/$batch", json={"requests": requests}).json()
            return [each["body"]["id"] for each in answer["responses"]]

    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = [each for made in pool.map(create, range(CLIENTS)) for each in made]

    assert sorted(ids, key=int) == [str(number) for number in range(1, len(ids) + 1)]
