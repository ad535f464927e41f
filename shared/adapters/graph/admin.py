"""One SharePoint connection as set-up sees it."""

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from shared.adapters.graph import urls
from shared.adapters.graph.client import RU_SINGLE_READ, GraphClient, Request
from shared.adapters.graph.history import keeps_versions
from shared.adapters.graph.provision import Provisioner
from shared.adapters.graph.rights import check_rights
from shared.adapters.graph.sites import lists_of, search_sites, site_at, team_site, why_unusable
from shared.core.catalog import Checked, Health, KnownList, KnownSite
from shared.core.errors import ConfigurationError, Transient
from shared.core.ids import ConnectionId, ListId, SiteId
from shared.core.list_columns import ListColumn
from shared.core.problems import Problem
from shared.core.provisioning import CheckedList, ListPlan, ProvisionedList


class GraphAdmin:
    """Implements `shared.control_ports.SharePointAdmin`. Raises GraphUnavailable, Throttled, PermissionMissing,
    ConfigurationError, NotFound, ListGone."""

    def __init__(self, client: GraphClient, connection: ConnectionId) -> None:
        self._client = client
        self._connection = connection

    def health(self) -> Checked:
        """Whether the credentials are accepted and Graph answers; rights are a matter of the site. Does not raise."""
        address = urls.SITES.below("root")
        now = self._client.clock.now
        try:
            answer = self._client.send(Request(method="GET", address=address, action="graph.health", ru=RU_SINGLE_READ))
            if answer.status == 403:  # usual with Sites.Selected
                note = "Credentials are accepted. The tenant's root site is not granted: name sites by their URL."
                return Checked(health=Health.HEALTHY, details={"graph": note}, at=now())
            self._client.expect(answer)
        except Transient as error:
            return Checked(health=Health.UNREACHABLE, details={"graph": error.message, "code": error.code}, at=now())
        except ConfigurationError as error:
            return Checked(health=Health.DEGRADED, details={"graph": error.message, "code": error.code}, at=now())
        return Checked(health=Health.HEALTHY, details={"graph": "Credentials are accepted."}, at=now())

    def find_sites(
        self, *, search: str | None = None, url: str | None = None, team: UUID | None = None
    ) -> Sequence[KnownSite]:
        """By a browser's URL (always works where the site is granted), by words, or by a team's group id. One of them."""
        if sum(given is not None for given in (search, url, team)) != 1:
            raise ConfigurationError(
                "Sites are found by a URL, by words or by a team's id: give one of them.", code="bad_search"
            )
        if url is not None:
            return [site_at(self._client, self._connection, url)]
        if team is not None:
            return [team_site(self._client, self._connection, str(team))]
        return search_sites(self._client, self._connection, search or "")

    def lists(self, site_id: SiteId) -> Sequence[KnownList]:
        """All lists that people see; `refusal` says which of them cannot be synchronised."""
        return lists_of(self._client, self._connection, site_id)

    @staticmethod
    def refusal(known: KnownList) -> str | None:
        """Why a list cannot be synchronised, as the end of a sentence; None: it can."""
        return why_unusable(known.template)

    def columns(self, site_id: SiteId, list_id: ListId) -> Sequence[ListColumn]:
        """Hidden columns are among them."""
        return [shown.column for shown in Provisioner(self._client, site_id).columns(list_id)]

    def check_rights(self, site_id: SiteId, own: CheckedList | None = None) -> tuple[Problem, ...]:
        """The missing rights, each with the grant that gives it; with `own`, writing is tried there, and its zone."""
        return check_rights(self._client, site_id, own)

    def provision(self, site_id: SiteId, plan: ListPlan) -> ProvisionedList:
        made = Provisioner(self._client, site_id).provision(plan)
        return made if made.created else replace(made, keeps_versions=self.keeps_versions(site_id, made.list_id))

    def keeps_versions(self, site_id: SiteId, list_id: ListId) -> bool:
        """As far as its items tell; a list without items that were edited is taken to keep versions, as new lists do."""
        return keeps_versions(self._client, site_id, list_id) is not False

    def drift(self, site_id: SiteId, plan: ListPlan, list_id: ListId) -> tuple[str, ...]:
        """How the list's columns differ from the plan, a sentence each, without changing anything."""
        return Provisioner(self._client, site_id).drift(plan, list_id)
