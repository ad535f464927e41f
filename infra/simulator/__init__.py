"""SharePoint behind Microsoft Graph, as a process of its own.

It shares no code with the product, so that no misunderstanding is shared either.
"""
