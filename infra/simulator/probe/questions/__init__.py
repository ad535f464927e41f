"""The questions, by area. Importing the package registers them all."""

from . import access, batches, items, lists, queries, values

__all__ = ["access", "batches", "items", "lists", "queries", "values"]
