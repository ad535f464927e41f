"""Durable orchestrations: the SDK's own replay on one side, DurableTask's decisions and a SQLite file on the other."""
