-- The RU budget of one tenant and application, shared by every process.

-- add --
-- A budget that nobody has spent from yet.
insert into syncbridge.ru_budgets (tenant_id, client_id, level, refilled_at, blocked_until, ramp, hours)
values (%(tenant)s, %(client)s, %(level)s, %(refilled_at)s, %(blocked_until)s, %(ramp)s, %(hours)s::jsonb)
on conflict (tenant_id, client_id) do nothing

-- now --
-- The database's time.
select clock_timestamp()

-- lock --
-- The budget, for whoever spends from it now, with the database's time.
select level, refilled_at, blocked_until, ramp, hours, clock_timestamp()
  from syncbridge.ru_budgets where tenant_id = %(tenant)s and client_id = %(client)s for update

-- save --
-- The budget as it stands after that.
update syncbridge.ru_budgets
   set level = %(level)s, refilled_at = %(refilled_at)s, blocked_until = %(blocked_until)s, ramp = %(ramp)s, hours = %(hours)s::jsonb
 where tenant_id = %(tenant)s and client_id = %(client)s
