-- The ledger: per row the last state both sides agreed on, and the writes in doubt.

-- columns --
-- What an entry is read as; the loop breaker's count is that of the current window only.
select l.source_identity, l.state, l.source_instance_id, l.sp_list_id, l.sp_item_id, l.sp_etag, l.stamp, l.field_digests, l.content_hash,
       l.provenance, l.intents::text, l.confirmed, l.generation, l.mapping_fingerprint, l.last_source_ts, l.last_sync_ts,
       case when l.writes_since > now() - make_interval(secs => coalesce((d.guards ->> 'loop_window')::double precision, 600)) then l.writes else 0 end,
       l.source_identity_hash
  from syncbridge.sync_ledger l left join syncbridge.sync_definitions d on d.id = l.sync_def_id

-- by_hashes --
-- Entries by the hash of their identity.
 where l.sync_def_id = %(definition)b::uuid and l.source_identity_hash = any(%(hashes)b::bytea[])

-- by_items --
-- Entries by the item that stands for their row; tombstones keep their item's id but do not stand for it any more.
 where l.sync_def_id = %(definition)b::uuid and l.sp_list_id = %(list)b::text and l.sp_item_id = any(%(items)b::integer[])
   and l.sp_item_id is not null and l.state <> 'TOMBSTONE'

-- tombstones_of --
-- Tombstones by the item that they remember.
 where l.sync_def_id = %(definition)b::uuid and l.sp_list_id = %(list)b::text and l.sp_item_id = any(%(items)b::integer[])
   and l.sp_item_id is not null and l.state = 'TOMBSTONE'

-- bound_items --
-- Items that stand for rows, by id.
select l.sp_item_id, l.source_identity from syncbridge.sync_ledger l
 where l.sync_def_id = %(definition)s and l.sp_list_id = %(list)s and l.sp_item_id > %(after)s and l.state <> 'TOMBSTONE'
   and l.sp_item_id is not null
 order by l.sp_item_id limit %(limit)s

-- stamps --
-- The stamps that rows had at their last agreement.
select source_identity, stamp from syncbridge.sync_ledger
 where sync_def_id = %(definition)b::uuid and source_identity_hash = any(%(hashes)b::bytea[]) and stamp is not null

-- under_other_fields --
-- Rows that were agreed on under other fields, by hash: the fingerprint begins with that of the fields. An entry without an
-- agreement has none. What stays without its other side stays so. Whoever holds a row may read it under the former fields yet.
select l.source_identity_hash, l.source_identity from syncbridge.sync_ledger l
 where l.sync_def_id = %(definition)b::uuid and l.source_identity_hash > %(after)b::bytea
   and substring(l.mapping_fingerprint for octet_length(%(fields)b::bytea)) is distinct from %(fields)b::bytea
   and l.state <> 'TOMBSTONE' and (l.stamp is not null or l.state <> 'SETTLED')
 union
select b.subject_hash, b.source_identity from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash > %(after)b::bytea and b.subject_kind = 'ROW' and b.claim is not null
 order by 1 limit %(limit)b::bigint

-- live_count --
-- How many rows the ledger believes in.
select count(*) from syncbridge.sync_ledger where sync_def_id = %(definition)b::uuid and stamp is not null

-- lock --
-- Locks the backlog's rows of a page in the order of their hash, as marks do, and says which the token holds.
select b.subject_hash, b.claim is not distinct from %(token)b::uuid, b.number, b.state
  from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(%(hashes)b::bytea[])
 order by b.subject_hash
   for update

-- upsert --
-- Writes entries, before a write (intents) or after it (a confirmation, which takes a number and adds to the loop breaker).
insert into syncbridge.sync_ledger as l
       (sync_def_id, source_identity_hash, source_identity, source_key_strategy, source_instance_id, state, sp_list_id, sp_item_id, sp_etag,
        stamp, content_hash, field_digests, mapping_fingerprint, provenance, intents, confirmed, generation, last_source_ts, tombstoned_at,
        writes_since, writes)
select %(definition)b::uuid, e.hash, e.identity, d.key_strategy, e.instance, e.state, e.list_id, e.item_id, e.etag,
       e.stamp, e.content_hash, e.digests, e.fingerprint, e.provenance, e.intents::jsonb,
       case when %(confirming)b::boolean then nextval('syncbridge.mark_numbers') end,
       e.generation, e.source_ts, case when e.state = 'TOMBSTONE' then now() end,
       case when e.writes > 0 then now() end, e.writes
  from unnest(%(hashes)b::bytea[], %(identities)b::text[], %(instances)b::uuid[], %(states)b::text[], %(lists)b::text[], %(items)b::integer[],
              %(etags)b::text[], %(stamps)b::bigint[], %(content_hashes)b::bytea[], %(digests)b::bytea[], %(fingerprints)b::bytea[],
              %(provenances)b::text[], %(intents)b::text[], %(generations)b::integer[], %(source_ts)b::timestamptz[], %(writes)b::integer[])
       as e(hash, identity, instance, state, list_id, item_id, etag, stamp, content_hash, digests, fingerprint, provenance, intents,
            generation, source_ts, writes)
  left join syncbridge.sync_definitions d on d.id = %(definition)b::uuid
 order by e.hash
on conflict (sync_def_id, source_identity_hash) do update
   set source_instance_id = excluded.source_instance_id, state = excluded.state, sp_list_id = excluded.sp_list_id,
       sp_item_id = excluded.sp_item_id, sp_etag = excluded.sp_etag, stamp = excluded.stamp, content_hash = excluded.content_hash,
       field_digests = excluded.field_digests, mapping_fingerprint = excluded.mapping_fingerprint, provenance = excluded.provenance,
       intents = excluded.intents, generation = excluded.generation, last_source_ts = excluded.last_source_ts,
       confirmed = coalesce(excluded.confirmed, l.confirmed),
       last_sync_ts = case when %(confirming)b::boolean then now() else l.last_sync_ts end,
       tombstoned_at = case when excluded.state = 'TOMBSTONE' then coalesce(l.tombstoned_at, now()) end,
       writes_since = case when excluded.writes = 0 then l.writes_since
                           when l.writes_since > now() - %(window)b::interval then l.writes_since else now() end,
       writes = case when excluded.writes = 0 then l.writes
                     when l.writes_since > now() - %(window)b::interval then l.writes + excluded.writes else excluded.writes end

-- bind --
-- Items get an identity to stand for, if it has no entry, or still the tombstone that was read, and if nobody is at work on
-- its row: who holds it may be about to record a write. Answers with those that did. The rows of the backlog are locked.
insert into syncbridge.sync_ledger as l
       (sync_def_id, source_identity_hash, source_identity, source_key_strategy, source_instance_id, state, sp_list_id, sp_item_id, sp_etag,
        intents, generation)
select %(definition)b::uuid, e.hash, e.identity, d.key_strategy, e.instance, e.state, e.list_id, e.item_id, e.etag, e.intents::jsonb,
       e.generation
  from unnest(%(hashes)b::bytea[], %(identities)b::text[], %(instances)b::uuid[], %(states)b::text[], %(lists)b::text[], %(items)b::integer[],
              %(etags)b::text[], %(intents)b::text[], %(generations)b::integer[])
       as e(hash, identity, instance, state, list_id, item_id, etag, intents, generation)
  left join syncbridge.sync_definitions d on d.id = %(definition)b::uuid
 where not exists (select 1 from syncbridge.sync_backlog b
                    where b.sync_def_id = %(definition)b::uuid and b.subject_hash = e.hash and b.claim is not null)
 order by e.hash
on conflict (sync_def_id, source_identity_hash) do update
   set source_instance_id = excluded.source_instance_id, state = excluded.state, sp_list_id = excluded.sp_list_id,
       sp_item_id = excluded.sp_item_id, sp_etag = excluded.sp_etag, intents = excluded.intents, generation = excluded.generation,
       stamp = null, content_hash = null, field_digests = null, mapping_fingerprint = null, provenance = null,
       last_source_ts = null, tombstoned_at = null
 where l.state = 'TOMBSTONE'
   and exists (select 1 from unnest(%(hashes)b::bytea[], %(expected)b::bigint[]) as x(hash, confirmed)
                where x.hash = l.source_identity_hash and x.confirmed = l.confirmed)
returning l.source_identity_hash

-- loop_window --
-- The window of the definition's loop breaker, in seconds.
select coalesce((select (guards ->> 'loop_window')::double precision from syncbridge.sync_definitions where id = %(definition)b::uuid), 600)

-- taken_items --
-- Which of the entries about to be written name an item that stands for another row already.
select e.hash
  from unnest(%(hashes)b::bytea[], %(lists)b::text[], %(items)b::integer[], %(states)b::text[]) as e(hash, list_id, item_id, state)
 where e.state <> 'TOMBSTONE'
   and exists (select 1 from syncbridge.sync_ledger l
                where l.sync_def_id = %(definition)b::uuid and l.sp_list_id = e.list_id and l.sp_item_id = e.item_id
                  and l.sp_item_id is not null and l.state <> 'TOMBSTONE' and l.source_identity_hash <> e.hash)

-- unmark --
-- Removes marks whose number is the one that was claimed; their rows are locked already.
delete from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(%(hashes)b::bytea[]) and b.claim = %(token)b::uuid

-- conclude --
-- Gives back claims with what was concluded: due (again, or later), parked, or waiting for a person. What waits has the
-- reasons that it waits for, and no others: they say which side a rejection is about.
update syncbridge.sync_backlog b
   set claim = null, claimed_until = null, state = case when u.state = 'DUE' then b.state else u.state end,
       due_at = case when u.due_in is null then b.due_at
                     when u.due_in = 'infinity' then 'infinity' else now() + make_interval(secs => u.due_in) end,
       reasons = case when u.reasons = '' then b.reasons
                      when u.state = 'AWAITING_APPROVAL' then string_to_array(u.reasons, ',')
                      else array(select distinct r from unnest(b.reasons || string_to_array(u.reasons, ',')) as r order by r) end,
       attempts = case u.attempt when 'SETTLED' then 0 when 'FAILED' then b.attempts + 1 else b.attempts end,
       reason_code = case u.attempt when 'SETTLED' then null else coalesce(u.code, b.reason_code) end,
       reason_text = case u.attempt when 'SETTLED' then null else coalesce(u.message, b.reason_text) end,
       seen_stamp = coalesce(u.stamp, b.seen_stamp),
       approved = b.approved and u.attempt not in ('SETTLED', 'WAITS')
  from unnest(%(hashes)b::bytea[], %(states)b::text[], %(due_in)b::double precision[], %(reasons)b::text[], %(attempts)b::text[],
              %(codes)b::text[], %(messages)b::text[], %(stamps)b::bigint[])
       as u(hash, state, due_in, reasons, attempt, code, message, stamp)
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = u.hash and b.claim = %(token)b::uuid
