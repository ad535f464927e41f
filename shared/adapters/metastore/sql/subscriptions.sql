-- Subscriptions to lists' changes. Whoever looks after one has moved `look_at` on, and writes only while it still stands there.

-- of_definition --
-- What is known of a definition's subscriptions.
select id, sync_def_id, list_id, notification_url, subscription_id, client_state_hash, asked, expires_at, renew_at, verified_at,
       look_at, failures, error_code, error_message
  from syncbridge.list_subscriptions where sync_def_id = %(definition)s order by created_at, id

-- due --
-- Definitions with a subscription to look after, or without the one that they should have.
select d.id from syncbridge.sync_definitions d
  left join syncbridge.sync_targets t on t.sync_def_id = d.id and t.provisioned_at is not null
  left join syncbridge.list_subscriptions s on s.sync_def_id = d.id
 where s.look_at <= %(now)s or (%(wanted)s and s.id is null and d.state = 'ACTIVE' and t.id is not null)
 group by d.id order by min(s.look_at) nulls first, d.id limit %(limit)s

-- roster --
-- Whom a notice may come from.
select subscription_id, sync_def_id, list_id, client_state_hash
  from syncbridge.list_subscriptions where subscription_id is not null

-- add --
-- A subscription that is about to be made; nothing when somebody else is at it.
insert into syncbridge.list_subscriptions (id, sync_def_id, list_id, notification_url, look_at)
values (%(id)s, %(definition)s, %(list)s, %(url)s, %(look_at)s) on conflict (sync_def_id, list_id) do nothing

-- claim --
-- Only one looks after it at a time.
update syncbridge.list_subscriptions set look_at = %(until)s where id = %(id)s and look_at = %(was)s

-- asked --
-- Graph is about to be asked for one.
update syncbridge.list_subscriptions
   set client_state_hash = %(hash)s, asked = asked + 1, subscription_id = null, expires_at = null, renew_at = null
 where id = %(id)s and look_at = %(look_at)s

-- live --
-- It lives: made, renewed, or seen among Graph's.
update syncbridge.list_subscriptions
   set subscription_id = %(subscription)s, expires_at = %(expires_at)s, renew_at = %(renew_at)s, verified_at = %(verified_at)s,
       look_at = %(next_look)s, asked = 0, failures = 0, error_code = null, error_message = null
 where id = %(id)s and look_at = %(look_at)s

-- lost --
-- Graph does not have it any more.
update syncbridge.list_subscriptions
   set subscription_id = null, client_state_hash = null, asked = 0, expires_at = null, renew_at = null
 where id = %(id)s and look_at = %(look_at)s

-- failed --
-- Looking after it failed; when it is tried again.
update syncbridge.list_subscriptions
   set look_at = %(next_look)s, failures = failures + 1, error_code = %(code)s, error_message = %(message)s
 where id = %(id)s and look_at = %(look_at)s

-- soon --
-- Somebody says that it wants looking after.
update syncbridge.list_subscriptions set look_at = least(look_at, %(at)s), renew_at = least(renew_at, %(at)s) where subscription_id = %(subscription)s

-- removed --
-- Graph says that it is gone.
update syncbridge.list_subscriptions
   set subscription_id = null, client_state_hash = null, asked = 0, expires_at = null, renew_at = null, look_at = %(at)s
 where subscription_id = %(subscription)s

-- remove --
-- It was deleted at Graph, or never was there.
delete from syncbridge.list_subscriptions where id = %(id)s and look_at = %(look_at)s
