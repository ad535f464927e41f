"""The questions, by area. Importing the package registers them all."""

from . import access, batches, columns, items, lists, queries, values

__all__ = ["access", "batches", "columns", "items", "lists", "queries", "values"]
