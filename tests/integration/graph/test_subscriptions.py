"""Looking after subscriptions: a real metastore, the simulated Graph, and a webhook that answers its handshake."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.adapters.graph.subscriptions import Subscriptions
from shared.adapters.metastore.definitions import DefinitionStore
from shared.adapters.metastore.pool import Metastore
from shared.adapters.metastore.subscriptions import SubscriptionStore
from shared.adapters.metastore.watches import WatchStore
from shared.core.definition import DefinitionState
from shared.core.errors import GraphUnavailable
from shared.core.record import DefinitionRecord
from shared.core.watching import LIFE, VERIFY_EVERY, GraphSubscription, ListSubscription, Wanted
from shared.usecases.subscriptions import Keeper, health_of_watch, look_after, wanted_of
from tests.integration.graph.rig import RealClock, RealIds, Rig, plan
from tests.integration.metastore.test_control_stores import record as record  # noqa: PLC0414  a fixture

pytestmark = pytest.mark.slow


class _Webhook(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        token = parse_qs(urlsplit(self.path).query).get("validationToken", [""])[0]
        self.send_response(200 if self.server.answers else 500)  # type: ignore[attr-defined]
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(token.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class calls it so
        pass


class Killed(BaseException):
    """The process dies here."""


@dataclass
class LaterClock:
    """The machine's clock, put forward by hand."""

    ahead: timedelta = timedelta(0)

    def now(self) -> datetime:
        return RealClock().now() + self.ahead

    def monotonic(self) -> float:
        return RealClock().monotonic()


@dataclass
class Dying:
    """Graph's subscriptions; dies, or is cut off, before or after one of its calls."""

    real: Subscriptions
    before: dict[str, BaseException] = field(default_factory=dict)
    after: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    def _do(self, name: str, *args: Any, **more: Any) -> Any:
        self.calls.append(name)
        if (death := self.before.pop(name, None)) is not None:
            raise death
        answer = getattr(self.real, name)(*args, **more)
        if (death := self.after.pop(name, None)) is not None:
            raise death
        return answer

    def create(self, *args: Any, **more: Any) -> GraphSubscription:
        return self._do("create", *args, **more)

    def renew(self, *args: Any, **more: Any) -> GraphSubscription | None:
        return self._do("renew", *args, **more)

    def delete(self, *args: Any) -> None:
        self._do("delete", *args)

    def mine(self) -> Any:
        return self._do("mine")


@dataclass(kw_only=True)
class Desk:
    rig: Rig
    keeper: Keeper
    graph: Dying
    clock: LaterClock
    record: DefinitionRecord
    webhook: ThreadingHTTPServer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.webhook.server_address[1]}"

    @property
    def wanted(self) -> Wanted:
        found = wanted_of(self.record, self.url)
        assert found is not None
        return found

    def look(self, wanted: Wanted | None) -> None:
        look_after(self.record.id, wanted, self.keeper)

    def later(self, by: timedelta) -> None:
        """Time passes on both sides."""
        self.clock.ahead += by
        self.rig.ask("POST", "clock", {"advance": by.total_seconds()})

    @property
    def known(self) -> ListSubscription:
        (row,) = self.keeper.store.of_definition(self.record.id)
        return row

    def at_graph(self) -> list[str]:
        return [found.id for found in self.graph.real.mine()]

    @property
    def notices(self) -> int:
        return self.keeper.watches.seen(self.record.id).notices  # type: ignore[attr-defined]


@pytest.fixture
def webhook() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Webhook)
    server.answers = True  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def store(metastore: str) -> Iterator[Metastore]:
    with Metastore(metastore) as opened:
        yield opened


@pytest.fixture
def desk(rig: Rig, store: Metastore, webhook: ThreadingHTTPServer, record: DefinitionRecord) -> Iterator[Desk]:
    """An active definition with a list of its own, and nothing subscribed yet."""
    rig.knobs(allow_loopback_http=True)
    made = rig.provisioner().provision(plan())
    DefinitionStore(store).add(record, actor="me")
    target = replace(record.target, site_id=rig.site, list_id=made.list_id, provisioned_at=RealClock().now())
    clock = LaterClock()
    graph = Dying(Subscriptions(rig.client()))
    keeper = Keeper(
        store=SubscriptionStore(store),
        watches=WatchStore(store),
        graph=graph,
        clock=clock,
        ids=RealIds(),
        jitter=lambda: 0.5,
    )
    active = replace(record, state=DefinitionState.ACTIVE, target=target)
    found = Desk(rig=rig, keeper=keeper, graph=graph, clock=clock, record=active, webhook=webhook)
    yield found
    rig.ask("POST", "clock", {"advance": -clock.ahead.total_seconds()})


LEASE = timedelta(minutes=11)


def test_it_is_made_with_its_handshake_and_its_list_is_read_for_what_nobody_heard(desk: Desk):
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]
    assert desk.notices == 1
    known = desk.known
    assert (known.asked, known.failures) == (0, 0)
    assert known.expires_at is not None
    assert timedelta(days=29) < known.expires_at - desk.clock.now() <= LIFE
    desk.look(desk.wanted)
    assert desk.graph.calls == ["mine", "create"]


@pytest.mark.parametrize("loss", [Killed(), GraphUnavailable("the answer was lost")], ids=["killed", "answer lost"])
def test_one_that_was_made_and_never_recorded_is_found_again_and_taken_as_it_is(desk: Desk, loss: BaseException):
    desk.graph.after["create"] = loss
    if isinstance(loss, Killed):
        with pytest.raises(Killed):
            desk.look(desk.wanted)
    else:
        desk.look(desk.wanted)
    (made,) = desk.at_graph()
    assert (desk.known.subscription_id, desk.known.asked) == (None, 1)
    state = desk.known.client_state_hash
    desk.later(LEASE)
    desk.look(desk.wanted)
    assert (desk.known.subscription_id, desk.known.client_state_hash) == (made, state)
    assert desk.at_graph() == [made]
    assert desk.graph.calls.count("create") == 1
    assert desk.notices == 1


def test_killed_before_graph_was_asked_it_is_asked_again(desk: Desk):
    desk.graph.before["create"] = Killed()
    with pytest.raises(Killed):
        desk.look(desk.wanted)
    desk.look(desk.wanted)
    assert desk.graph.calls.count("create") == 1, "somebody else may still be at it"
    desk.later(LEASE)
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]


def test_when_nobody_knows_which_attempt_landed_what_is_found_is_replaced(desk: Desk):
    desk.graph.before["create"] = GraphUnavailable("never sent")
    desk.look(desk.wanted)
    desk.later(LEASE)
    desk.graph.after["create"] = GraphUnavailable("the answer was lost")
    desk.look(desk.wanted)
    (doubtful,) = desk.at_graph()
    assert desk.known.asked == 2
    desk.later(LEASE)
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]
    assert desk.known.subscription_id != doubtful


def test_it_is_renewed_at_half_of_its_life_and_not_before(desk: Desk):
    desk.look(desk.wanted)
    first = desk.known
    for day in range(13):
        desk.later(VERIFY_EVERY)
        desk.look(desk.wanted)
        assert "renew" not in desk.graph.calls, day
    desk.later(2 * VERIFY_EVERY)
    desk.look(desk.wanted)
    assert desk.graph.calls.count("renew") == 1
    assert desk.known.subscription_id == first.subscription_id
    assert first.expires_at is not None
    assert desk.known.expires_at is not None
    assert desk.known.expires_at - first.expires_at > timedelta(days=13)
    assert desk.notices == 1


def test_it_is_looked_for_daily_among_graphs_and_made_again_when_it_is_gone(desk: Desk):
    desk.look(desk.wanted)
    first = desk.known
    assert first.subscription_id is not None
    desk.graph.real.delete(first.subscription_id)
    desk.later(VERIFY_EVERY - timedelta(minutes=1))
    desk.look(desk.wanted)
    assert desk.known == first
    desk.later(timedelta(minutes=2))
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]
    assert desk.known.subscription_id != first.subscription_id
    assert desk.known.client_state_hash != first.client_state_hash
    assert desk.notices == 2, "the list is read for what came meanwhile"


def test_one_that_ran_out_while_nobody_looked_is_made_again(desk: Desk):
    desk.look(desk.wanted)
    first = desk.known.subscription_id
    desk.later(timedelta(days=40))
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]
    assert desk.known.subscription_id != first
    assert desk.notices == 2


def test_a_second_one_for_the_same_list_is_removed_at_the_next_look(desk: Desk):
    desk.look(desk.wanted)
    wanted = desk.wanted
    desk.graph.real.create(
        wanted.site_id,
        wanted.list_id,
        notification_url=wanted.notification_url,
        client_state="landed late",
        expires=desk.clock.now() + timedelta(days=20),
    )
    assert len(desk.at_graph()) == 2
    desk.later(VERIFY_EVERY)
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]


def test_what_belongs_to_another_list_or_another_address_is_left_alone(desk: Desk):
    wanted = desk.wanted
    other = desk.rig.provisioner().provision(plan(name="Other", definition=8))
    strangers = [
        desk.graph.real.create(
            wanted.site_id,
            list_id,
            notification_url=url,
            client_state="x",
            expires=desk.clock.now() + timedelta(days=20),
        ).id
        for list_id, url in ((other.list_id, wanted.notification_url), (wanted.list_id, f"{desk.url}/another"))
    ]
    desk.look(wanted)
    desk.later(VERIFY_EVERY)
    desk.look(wanted)
    desk.look(None)
    assert set(desk.at_graph()) == set(strangers)


def test_nobody_wants_it_any_more(desk: Desk):
    desk.look(desk.wanted)
    desk.look(None)
    assert desk.at_graph() == []
    assert desk.keeper.store.of_definition(desk.record.id) == []


def test_one_that_was_never_recorded_goes_too(desk: Desk):
    desk.graph.after["create"] = GraphUnavailable("the answer was lost")
    desk.look(desk.wanted)
    assert len(desk.at_graph()) == 1
    desk.look(None)
    assert desk.at_graph() == []
    assert desk.keeper.store.of_definition(desk.record.id) == []


def test_a_delete_that_fails_is_tried_again_until_it_would_have_run_out(desk: Desk):
    desk.look(desk.wanted)
    desk.graph.before["delete"] = GraphUnavailable("away")
    desk.look(None)
    assert (desk.known.failures, desk.known.error_code) == (1, "graph_unavailable")
    desk.look(None)
    assert desk.keeper.store.of_definition(desk.record.id) == []

    desk.look(desk.wanted)
    desk.later(timedelta(days=40))
    desk.graph.calls.clear()
    desk.look(None)
    assert desk.keeper.store.of_definition(desk.record.id) == []
    assert desk.graph.calls == []


def test_another_address_takes_the_place_of_the_first_one(desk: Desk):
    desk.look(desk.wanted)
    moved = replace(desk.wanted, notification_url=f"{desk.url}/new/api/graph/notifications")
    desk.look(moved)
    assert desk.at_graph() == [desk.known.subscription_id]
    (found,) = desk.graph.real.mine()
    assert found.notification_url == moved.notification_url
    assert desk.notices == 2


def test_an_address_that_does_not_answer_is_recorded_in_words_and_tried_again_ever_less_often(desk: Desk):
    desk.webhook.answers = False  # type: ignore[attr-defined]
    waits = []
    for _ in range(9):
        desk.look(desk.wanted)
        waits.append(desk.known.look_at - desk.clock.now())
        desk.later(waits[-1])
    minutes = [round(wait / timedelta(minutes=1)) for wait in waits]
    assert minutes == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert desk.known.error_code == "subscription_refused"
    (said,) = health_of_watch(desk.record, desk.known, webhook_url=desk.url)
    assert said.startswith("No notices: Graph refuses the subscription")
    assert said.endswith("looked for every 60 seconds, for 1,440 RU a day while nothing changes.")
    assert desk.notices == 0

    desk.webhook.answers = True  # type: ignore[attr-defined]
    desk.look(desk.wanted)
    assert desk.at_graph() == [desk.known.subscription_id]
    (said,) = health_of_watch(desk.record, desk.known, webhook_url=desk.url)
    assert said.startswith("The list's changes are noticed;")


def test_health_says_when_no_address_is_set_and_nothing_of_a_definition_that_does_not_run(desk: Desk):
    (said,) = health_of_watch(desk.record, None, webhook_url="")
    assert said.startswith("No notices: SYNCBRIDGE_WEBHOOK_URL is not set.")
    for state in set(DefinitionState) - {DefinitionState.ACTIVE}:
        assert health_of_watch(replace(desk.record, state=state), None, webhook_url=desk.url) == ()
    assert wanted_of(desk.record, "") is None
    for state in set(DefinitionState) - {DefinitionState.ACTIVE, DefinitionState.PAUSED}:
        assert wanted_of(replace(desk.record, state=state), desk.url) is None
