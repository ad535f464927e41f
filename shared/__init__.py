"""The engine: keeps PostgreSQL tables and SharePoint lists equal."""

__version__ = "0.1.0"
