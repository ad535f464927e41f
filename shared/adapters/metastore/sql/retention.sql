-- Retention: what is old enough goes, a bounded number at a time.

-- runs --
-- Runs that ended long ago, with their failures.
delete from syncbridge.sync_runs where id in (
    select id from syncbridge.sync_runs
     where status not in ('QUEUED', 'RUNNING') and end_time < now() - %(age)s::interval order by end_time limit %(limit)s)

-- quiet_polls --
-- Safety polls that found nothing: one a minute would bury the runs that did something.
delete from syncbridge.sync_runs where id in (
    select id from syncbridge.sync_runs r
     where r.trigger = 'POLL' and r.status = 'COMPLETED' and r.items_processed = 0 and r.end_time < now() - %(age)s::interval
       and not exists (select from syncbridge.sync_run_failures f where f.run_id = r.id)
     order by r.end_time limit %(limit)s)

-- conflicts --
-- Conflicts that were concluded long ago.
delete from syncbridge.conflicts where id in (
    select id from syncbridge.conflicts
     where state <> 'PENDING' and finalized_at < now() - %(age)s::interval order by finalized_at limit %(limit)s)

-- tombstones --
-- Tombstones that outlived every delta token, without a row or a write in doubt.
delete from syncbridge.sync_ledger l using (
    select sync_def_id, source_identity_hash from syncbridge.sync_ledger
     where state = 'TOMBSTONE' and stamp is null and intents = '[]' and tombstoned_at < now() - %(age)s::interval
     order by tombstoned_at limit %(limit)s) as old
 where l.sync_def_id = old.sync_def_id and l.source_identity_hash = old.source_identity_hash

-- forget_backlog --
-- A deleted definition's marks go: nothing will settle them.
delete from syncbridge.sync_backlog where sync_def_id = %(definition)s

-- forget_renames --
-- A deleted definition's key changes go with its marks.
delete from syncbridge.sync_renames where sync_def_id = %(definition)s

-- forget_ledger --
-- A deleted definition's ledger goes.
delete from syncbridge.sync_ledger where sync_def_id = %(definition)s

-- forget_runs --
-- A deleted definition's ended runs go, with their failures.
delete from syncbridge.sync_runs where sync_def_id = %(definition)s and status not in ('QUEUED', 'RUNNING')
