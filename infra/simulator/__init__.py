"""SharePoint behind Microsoft Graph, as a process of its own. Shares no code with the product, so that no misunderstanding is shared either."""
