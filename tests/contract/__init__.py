"""What the engine relies on of its ports, asked of the fake and of the real thing alike: lists, sources, row writers, holds,
budgets.

Ledger, backlog, scans, enumerations, cursors and runs have no fake. Their whole point is what one transaction of a real
PostgreSQL holds together, so every test has a real one; it costs a quarter of a second.
"""
