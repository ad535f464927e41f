"""Puts the functions together: what the host indexes."""

import azure.durable_functions as df
import azure.functions as func

from functions import activities, orchestrators, queues, runs, streams, timers, web, webhooks


def build() -> df.DFApp:
    app = df.DFApp(http_auth_level=func.AuthLevel.FUNCTION)
    for module in (runs, timers, orchestrators, activities, queues, streams, webhooks, web):
        app.register_functions(module.blueprint)
    return app
