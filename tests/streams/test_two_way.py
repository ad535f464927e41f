"""A definition that goes both ways and streams: what we write to rows comes back in the log, and costs nothing."""

import pytest

from tests.api.test_two_way import FIELDS, grant, row
from tests.streams.world import Streaming

pytestmark = pytest.mark.slow


@pytest.fixture
def both_ways(streaming: Streaming) -> Streaming:
    """Both sides are equal, the stream is read to its end, and no message waits."""
    grant(streaming.world)
    streaming.live(sync_mode="TWO_WAY", field_mappings=FIELDS)
    with streaming.streaming():
        streaming.scan()
        streaming.caught_up()
    streaming.messages()
    streaming.world.sync(streaming.definition)
    return streaming


def test_rows_that_we_wrote_come_back_in_the_log_and_cost_no_write(both_ways: Streaming):
    world = both_ways.world
    person, items = world.person(both_ways.definition), world.items(both_ways.definition)
    with both_ways.streaming():
        person.edit(items["thing 1"], Title="renamed by a person")
        person.add(Number=100, Title="made by a person", Qty=7)
        person.delete(items["thing 2"])
        assert world.ingress(both_ways.definition)["status"] == "COMPLETED"
        world.sync(both_ways.definition)
        both_ways.caught_up()
        texts = both_ways.messages()
        assert texts, "our own writes are in the log as everybody's"
        before, rows = both_ways.writes(), world.sql("select id, xmin::text from app.things order by id")
        for text in texts:
            world.engine.take_message(text)
    assert both_ways.writes() == before
    assert world.sql("select id, xmin::text from app.things order by id") == rows
    assert both_ways.backlog()["due"] == 0
    assert (row(world, 1), row(world, 2)) == (("renamed by a person", 1, "note 1"), None)


def test_a_row_and_its_item_edited_at_once_are_merged_by_the_stream(both_ways: Streaming):
    world = both_ways.world
    person, items = world.person(both_ways.definition), world.items(both_ways.definition)
    with both_ways.streaming():
        person.edit(items["thing 3"], Title="renamed by a person")
        world.sql("update app.things set note = 'by the database' where id = 3")
        both_ways.caught_up()
        both_ways.deliver()
    world.sync(both_ways.definition)
    assert row(world, 3) == ("renamed by a person", 3, "by the database")
    assert world.items(both_ways.definition)["renamed by a person"]["fields"]["Note"] == "by the database"
