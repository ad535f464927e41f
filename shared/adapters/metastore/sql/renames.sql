-- Key changes that were told and not followed yet. Hints: settle looks before it believes one.

-- record --
-- Puts key changes on record in their order. One that is told again moves to the end.
insert into syncbridge.sync_renames as r (sync_def_id, former_hash, new_hash, former_identity, new_identity, number)
select %(definition)b::uuid, k.former_hash, k.new_hash, k.former, k.new, nextval('syncbridge.mark_numbers')
  from (select *
          from unnest(%(former_hashes)b::bytea[], %(new_hashes)b::bytea[], %(formers)b::text[], %(news)b::text[])
               with ordinality as u(former_hash, new_hash, former, new, place)
         order by u.place) as k
on conflict (sync_def_id, former_hash, new_hash) do update set number = excluded.number, told_at = excluded.told_at

-- touching --
-- Key changes from or to one of the identities, in their order, and whether they were told just now.
select r.number, r.former_identity, r.new_identity, r.told_at > now() - %(fresh)b::interval
  from syncbridge.sync_renames r
 where r.sync_def_id = %(definition)b::uuid and (r.former_hash = any(%(hashes)b::bytea[]) or r.new_hash = any(%(hashes)b::bytea[]))
 order by r.number limit %(limit)b::integer

-- lock --
-- Locks the backlog's rows in the order of their hash, as marks do, and says whether the token holds them, and whether
-- somebody else does whose lease has not run out.
select b.subject_hash, b.claim is not distinct from %(token)b::uuid,
       b.claim is distinct from %(token)b::uuid and b.claim is not null and b.claimed_until > now()
  from syncbridge.sync_backlog b
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(%(hashes)b::bytea[])
 order by b.subject_hash
   for update

-- take_away --
-- Ends claims whose lease has run out: whoever held them can write nothing any more. The rows are locked already.
update syncbridge.sync_backlog b
   set claim = null, claimed_until = null
 where b.sync_def_id = %(definition)b::uuid and b.subject_hash = any(%(hashes)b::bytea[])
   and b.claim is distinct from %(token)b::uuid and b.claim is not null

-- forget --
-- Key changes that are over.
delete from syncbridge.sync_renames where sync_def_id = %(definition)b::uuid and number = any(%(numbers)b::bigint[])
