-- Runs: what was executed, what it did and what it cost.

-- add_counts --
-- Adds what was done to a run's figures.
update syncbridge.sync_runs
   set items_processed = items_processed + %(items_processed)s::bigint, created = created + %(created)s::bigint,
       updated = updated + %(updated)s::bigint, deleted = deleted + %(deleted)s::bigint, unchanged = unchanged + %(unchanged)s::bigint,
       adopted = adopted + %(adopted)s::bigint, conflicts = conflicts + %(conflicts)s::bigint,
       items_failed = items_failed + %(items_failed)s::bigint, delayed = delayed + %(delayed)s::bigint,
       awaiting_approval = awaiting_approval + %(awaiting_approval)s::bigint, ru = ru + %(ru)s::bigint,
       requests = requests + %(requests)s::bigint
 where id = %(run)s::uuid

-- record_failures --
-- Which subjects a run set aside, with the reason; the last one counts.
insert into syncbridge.sync_run_failures (run_id, subject_hash, subject_kind, source_identity, sp_list_id, sp_item_id, reason_code, reason_text)
select r.id, f.hash, f.kind, f.identity, f.list_id, f.item_id, f.code, f.message
  from syncbridge.sync_runs r
 cross join unnest(%(hashes)b::bytea[], %(kinds)b::text[], %(identities)b::text[], %(lists)b::text[], %(items)b::integer[],
                   %(codes)b::text[], %(messages)b::text[]) as f(hash, kind, identity, list_id, item_id, code, message)
 where r.id = %(run)b::uuid
on conflict (run_id, subject_hash) do update
   set reason_code = excluded.reason_code, reason_text = excluded.reason_text, at = now()
