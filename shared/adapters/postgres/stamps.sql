-- name: hashing
-- How this server hashes: its encoding, and a probe hashed without and with a seed. Servers that answer alike make equal
-- checksums of equal rows. Parameters: the probe twice, the second time with the seed.
select pg_catalog.current_setting('server_encoding')
    || '/' || pg_catalog.hashtextextended(%s::pg_catalog.text collate "C", 0)
    || '/' || pg_catalog.hashtextextended(%s::pg_catalog.text collate "C", %s::pg_catalog.int8)
