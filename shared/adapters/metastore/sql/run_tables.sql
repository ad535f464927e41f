-- The unlogged tables of runs: which there are, and what both kinds do alike. `{differing}` is the run's table of findings.

-- settings --
-- For this transaction: time for a large table, memory to join it in one pass, and no compilation of a query that runs once.
select set_config('statement_timeout', %(statement_timeout)s::text, true), set_config('work_mem', '96MB', true), set_config('jit', 'off', true)

-- dead --
-- Runs whose tables are left over: ended, or so old that nobody works on them any more; and an earlier attempt of this one.
select t.run_id
  from syncbridge.run_tables t left join syncbridge.sync_runs r on r.id = t.run_id
 where t.kind = %(kind)s::text
   and (t.run_id = %(run)s::uuid or r.status not in ('QUEUED', 'RUNNING') or t.created_at < now() - interval '1 day')

-- remember --
-- A run's tables are there.
insert into syncbridge.run_tables (run_id, kind, sync_def_id) values (%(run)s::uuid, %(kind)s::text, %(definition)s::uuid)

-- forget --
-- A run's tables are gone.
delete from syncbridge.run_tables where run_id = %(run)s::uuid and kind = %(kind)s::text

-- loaded --
-- How many rows more have to be there from now on.
update syncbridge.run_tables set loaded = coalesce(loaded, 0) + %(loaded)s::bigint where run_id = %(run)s::uuid and kind = %(kind)s::text

-- compared --
-- How many differences have to be found again by the marks.
update syncbridge.run_tables set differing = %(differing)s::bigint where run_id = %(run)s::uuid and kind = %(kind)s::text

-- expected --
-- What `compared` remembered.
select differing from syncbridge.run_tables where run_id = %(run)s::uuid and kind = %(kind)s::text

-- page --
-- The next page of differences: how many, and the last hash.
select count(*), decode(max(encode(subject_hash, 'hex') collate "C"), 'hex')
  from (select subject_hash from {differing} where subject_hash > %(after)b::bytea order by subject_hash limit %(limit)b::integer) as page

-- index_differing --
-- For paging in the order of the hash. A subject that was found twice fails here.
create unique index on {differing} (subject_hash)
