import psycopg


def test_a_fresh_database_is_empty_and_ready_for_logical_replication(pg_dsn):
    with psycopg.connect(pg_dsn) as connection:
        assert connection.execute("show wal_level").fetchone() == ("logical",)
        assert connection.execute("select count(*) from pg_tables where schemaname = 'public'").fetchone() == (0,)


def test_a_database_is_dropped_although_a_test_left_a_slot_a_prepared_transaction_and_a_session(databases):
    dsn = databases.create()
    left_open = psycopg.connect(dsn)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table t (a int)")
        connection.execute("begin; insert into t values (1); prepare transaction 'left'")
        connection.execute("rollback prepared 'left'")
        connection.execute("select pg_create_logical_replication_slot('left_slot', 'pgoutput')")
        connection.execute("begin; insert into t values (1); prepare transaction 'left'")

    databases.drop(dsn)

    name = dsn.rsplit("/", 1)[1]
    assert databases.admin.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None
    left_open.close()
