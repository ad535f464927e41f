"""The composition root: wires adapters to captures, settle and use cases. What functions, the poller and tests hold."""

import os
from typing import Any

from shared import __version__
from shared.adapters.metastore.migrations import check
from shared.adapters.metastore.pool import Metastore
from shared.adapters.secrets import SealingKey, SecretResolver, key_vault
from shared.core.errors import SyncError
from shared.engine.byhand import ByHand
from shared.engine.streams import Streams
from shared.engine.watch import ListWatch
from shared.handles import POSTGRES_AUDIENCE, Secrets
from shared.process import RandomIds, SystemClock, identity_token
from shared.settings import Settings


class Engine(ListWatch, Streams, ByHand):
    """One per process. Nothing is connected before `open`."""

    @classmethod
    def from_settings(cls, settings: Settings) -> "Engine":
        """With the machine's clock and the environment's secrets. Settings of the app itself are no secrets to refer to."""
        visible = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(
                ("SYNCBRIDGE_", "AzureWebJobs", "WEBSITE_", "IDENTITY_", "MSI_", "APPLICATIONINSIGHTS_")
            )
        }
        vault = key_vault(settings.key_vault_url) if settings.key_vault_url else None
        secrets = Secrets(
            resolver=SecretResolver(environ=visible, vault=vault),
            key=SealingKey(key=settings.secret_key) if settings.secret_key else None,
        )
        entra = settings.metastore_auth == "ENTRA"
        metastore = Metastore(
            settings.metastore_dsn, password=_metastore_token if entra else None, max_size=settings.pool_size
        )
        return cls(settings, clock=SystemClock(), ids=RandomIds(), metastore=metastore, secrets=secrets)

    def health(self) -> dict[str, Any]:
        """`status` is ok when the metastore answers with this release's schema."""
        problem: str | None = None
        try:
            token = _metastore_token() if self.settings.metastore_auth == "ENTRA" else None
            check(self.settings.metastore_dsn, password=token).require()
        except SyncError as error:
            problem = error.message
        return {
            "status": "ok" if problem is None else "unavailable",
            "version": __version__,
            "metastore": problem or "ok",
        }

    def housekeeping(self) -> None:
        settings = self.settings
        self.stores.retention.sweep(
            runs=settings.retain_runs, conflicts=settings.retain_conflicts, tombstones=settings.retain_tombstones
        )


def _metastore_token() -> str:
    return identity_token(POSTGRES_AUDIENCE)
