"""Set-up's view of a database: health as a sentence, the list of tables, snapshots, the check."""

from infra.local.ports import free_port
from shared.adapters.postgres.admin import PostgresAdmin
from shared.adapters.postgres.connection import SourceDatabase
from shared.control_ports import SourceAdmin
from shared.core.catalog import Health
from shared.core.source import TableRef
from tests.integration.postgres.conftest import address_of, admit_all


def admin(dsn: str, **changes: str) -> SourceAdmin:
    return PostgresAdmin(SourceDatabase(address_of(dsn, **changes), admit=admit_all), admit=admit_all)


def test_a_healthy_database_says_who_it_is(pg_dsn, source):
    checked = admin(pg_dsn).health()
    assert checked.health is Health.HEALTHY
    assert str(checked.details["version"]).startswith(str(source.admin.info.server_version // 10_000))
    assert checked.details["standby"] is False
    assert checked.details["latency_ms"] >= 0


def test_an_unhealthy_one_says_what_to_do_and_whether_it_may_pass(pg_dsn):
    wrong = admin(pg_dsn, password="not-the-one").health()
    assert (wrong.health, wrong.details["code"]) == (Health.DEGRADED, "login_refused")
    assert "the password or the token is wrong" in str(wrong.details["problem"])
    assert "not-the-one" not in str(wrong)
    gone = admin(pg_dsn.replace(f":{address_of(pg_dsn).port}/", f":{free_port()}/")).health()
    assert (gone.health, gone.details["code"]) == (Health.UNREACHABLE, "connection_refused")


def test_tables_snapshots_and_the_check_are_those_of_the_adapter(source):
    source.run("create table t (id int primary key, u timestamptz)", "create view v as select * from t")
    looks = PostgresAdmin(source.database, admit=admit_all)
    assert looks.tables() == (TableRef(schema="public", name="t"), TableRef(schema="public", name="v"))
    assert looks.introspect(TableRef(schema="public", name="t")).primary_key == ("id",)
    assert [problem.code for problem in looks.check(source.spec("t", cursor="u"))] == ["cursor_index_missing"]
