-- name: role
-- Who we are and what the role may do beside tables: name, bypasses row-level security, may replicate, sees all sessions'
-- statistics.
select current_user::text, r.rolbypassrls or r.rolsuper, r.rolreplication or r.rolsuper,
       pg_has_role('pg_read_all_stats', 'usage')
from pg_roles r where r.rolname = current_user

-- name: table_rights
-- Rights on one table: usage of its schema, select, insert, delete, update of some column at least. Parameter: the table's oid.
select has_schema_privilege(c.relnamespace, 'usage'), has_table_privilege(c.oid, 'select'),
       has_table_privilege(c.oid, 'insert'), has_table_privilege(c.oid, 'delete'),
       has_any_column_privilege(c.oid, 'update')
from pg_class c where c.oid = %s::bigint::oid

-- name: column_rights
-- Rights on columns, xmin included: name, select, insert, update. Parameters: the table's oid, the names.
select a.attname::text,
       has_column_privilege(a.attrelid, a.attnum, 'select'),
       has_column_privilege(a.attrelid, a.attnum, 'insert'),
       has_column_privilege(a.attrelid, a.attnum, 'update')
from pg_attribute a
where a.attrelid = %s::bigint::oid and a.attname = any(%s::text[]) and not a.attisdropped
order by a.attnum
