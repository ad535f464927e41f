-- name: relation
-- One table-like object: kind, replica identity and its index, comment, row-level security (enabled, forced, active for us).
-- Parameters: schema, name. No row: it does not exist, or is of another kind.
select
    c.oid::bigint,
    c.relkind::text,
    c.relreplident::text,
    (select ic.relname::text from pg_index i join pg_class ic on ic.oid = i.indexrelid
     where i.indrelid = c.oid and i.indisreplident),
    obj_description(c.oid, 'pg_class'),
    c.relrowsecurity,
    c.relforcerowsecurity,
    -- row_security_active() raises for kinds that cannot have policies.
    case when c.relkind in ('r', 'p') then row_security_active(c.oid) else false end
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p', 'v', 'm', 'f')

-- name: columns
-- The columns in attribute order: name, declared type, base type behind domains (name, typmod, is an array, is an enum, is an
-- extension's or a user's), outermost domain, nullable (a domain may forbid nulls too), generated, identity or serial, default,
-- position, comment, deterministic collation, enum labels. Parameter: the table's oid.
with recursive attribute as (
    select a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated, a.attidentity, a.atthasdef,
           a.attcollation, a.attrelid
    from pg_attribute a
    where a.attrelid = %s::bigint::oid and a.attnum > 0 and not a.attisdropped
), resolved as (
    select attnum, atttypid as type, atttypmod as typmod, false as not_null, 0 as depth from attribute
    union all
    -- The typmod of a domain over numeric(12,2) stands on the domain, not on the column.
    select r.attnum, t.typbasetype, case when t.typtypmod = -1 then r.typmod else t.typtypmod end,
           r.not_null or t.typnotnull, r.depth + 1
    from resolved r join pg_type t on t.oid = r.type where t.typtype = 'd'
), base as (
    select distinct on (attnum) attnum, type, typmod, not_null from resolved order by attnum, depth desc
), element as (
    -- typelem alone is not the sign of an array: name and point have one too.
    select b.attnum, b.typmod, b.not_null, b.type,
           case when t.typcategory = 'A' and t.typelem <> 0 then t.typelem end as element
    from base b join pg_type t on t.oid = b.type
), element_base as (
    select e.attnum, e.type, e.typmod, e.not_null, e.element,
           coalesce((
               with recursive down as (
                   select e.element as type, 0 as depth
                   union all
                   select t.typbasetype, d.depth + 1 from down d join pg_type t on t.oid = d.type where t.typtype = 'd'
               )
               select type from down where type is not null order by depth desc limit 1
           ), e.type) as final
    from element e
)
select
    a.attname::text,
    format_type(a.atttypid, a.atttypmod),
    -- A type of somebody's own that is called like a built-in one is not that one.
    case when t.typnamespace <> 'pg_catalog'::regnamespace
          and exists (select from pg_type b where b.typname = t.typname and b.typnamespace = 'pg_catalog'::regnamespace)
        then t.typnamespace::regnamespace::text || '.' || t.typname
        else t.typname end::text,
    e.typmod,
    e.element is not null,
    t.typtype = 'e',
    case when outer_type.typtype = 'd' then format_type(a.atttypid, null) end,
    not (a.attnotnull or e.not_null),
    a.attgenerated <> '',
    a.attidentity <> '' or coalesce(pg_get_expr(d.adbin, d.adrelid) like 'nextval(%%', false),
    a.atthasdef and a.attgenerated = '',
    a.attnum::integer,
    col_description(a.attrelid, a.attnum),
    coalesce(l.collisdeterministic, true),
    (select coalesce(array_agg(label.enumlabel::text order by label.enumsortorder), '{}')
     from pg_enum label where label.enumtypid = t.oid)
from attribute a
join element_base e on e.attnum = a.attnum
join pg_type t on t.oid = e.final
join pg_type outer_type on outer_type.oid = a.atttypid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
left join pg_collation l on l.oid = a.attcollation
order by a.attnum

-- name: foreign_partition
-- A partition whose rows are on another server, where there is one: schema and name. Parameter: the table's oid.
with recursive part as (
    select c.oid, c.relkind from pg_class c where c.oid = %s::bigint::oid
    union all
    select c.oid, c.relkind
    from part p join pg_inherits i on i.inhparent = p.oid join pg_class c on c.oid = i.inhrelid
    where p.relkind = 'p'
)
select n.nspname::text, c.relname::text
from part join pg_class c on c.oid = part.oid join pg_namespace n on n.oid = c.relnamespace
where part.relkind = 'f'
order by 1, 2 limit 1

-- name: constraints
-- The table's constraints: name, kind, columns in order, definition, referenced table and columns, validated, deferrable.
-- Parameter: the table's oid.
select
    c.conname::text,
    c.contype::text,
    (select coalesce(array_agg(a.attname::text order by k.place), '{}')
     from unnest(c.conkey) with ordinality as k (attnum, place)
     join pg_attribute a on a.attrelid = c.conrelid and a.attnum = k.attnum),
    pg_get_constraintdef(c.oid),
    fn.nspname::text,
    f.relname::text,
    (select coalesce(array_agg(a.attname::text order by k.place), '{}')
     from unnest(c.confkey) with ordinality as k (attnum, place)
     join pg_attribute a on a.attrelid = c.confrelid and a.attnum = k.attnum),
    c.convalidated,
    c.condeferrable
from pg_constraint c
left join pg_class f on f.oid = nullif(c.confrelid, 0)
left join pg_namespace fn on fn.oid = f.relnamespace
where c.conrelid = %s::bigint::oid and c.contype in ('p', 'u', 'f', 'c', 'x', 'n')
order by c.contype, c.conname

-- name: indexes
-- The table's indexes: name, key columns in order (null for an expression), unique, primary, usable, partial, method,
-- nulls not distinct (from PostgreSQL 15), definition. Parameter: the table's oid.
select
    ic.relname::text,
    (select array_agg(a.attname::text order by k.place)
     from unnest(i.indkey::smallint[]) with ordinality as k (attnum, place)
     left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.attnum and k.attnum <> 0
     where k.place <= i.indnkeyatts),
    i.indisunique,
    i.indisprimary,
    i.indisvalid and i.indisready,
    i.indpred is not null,
    am.amname::text,
    coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false),
    pg_get_indexdef(i.indexrelid)
from pg_index i
join pg_class ic on ic.oid = i.indexrelid
join pg_am am on am.oid = ic.relam
where i.indrelid = %s::bigint::oid
order by ic.relname

-- name: estimated_rows
-- pg_class.reltuples, summed over the partitions of a partitioned table; null where one was never analysed.
-- Parameter: the table's oid.
with recursive part as (
    select c.oid, c.relkind, c.reltuples from pg_class c where c.oid = %s::bigint::oid
    union all
    select c.oid, c.relkind, c.reltuples
    from part p join pg_inherits i on i.inhparent = p.oid join pg_class c on c.oid = i.inhrelid
    where p.relkind = 'p'
)
select case when bool_and(reltuples >= 0) then sum(reltuples)::bigint end
from part where relkind in ('r', 'm', 'f')

-- name: tables
-- Every table-like object outside the system's schemas that this role may see: schema, name, kind, estimate, comment.
-- Partitions are left out: their parent is the table.
select n.nspname::text, c.relname::text, c.relkind::text,
       case when c.reltuples >= 0 then c.reltuples::bigint end, obj_description(c.oid, 'pg_class')
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
  and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and has_schema_privilege(n.oid, 'usage')
order by 1, 2
