"""Making a list what a plan says: every step looks first, so that any step may be killed and the whole repeated."""

from shared.adapters.graph import urls
from shared.adapters.graph.answers import Answer, member
from shared.adapters.graph.client import RU_MULTI_READ, RU_SINGLE_READ, RU_WRITE, GraphClient, Request
from shared.adapters.graph.columns import (
    KEY,
    SELECT,
    AddColumn,
    ChangeColumn,
    Obstacle,
    Shown,
    Step,
    columns_of,
    matching,
    provisioned,
    steps_for,
)
from shared.adapters.graph.parsing import page_of
from shared.adapters.graph.sites import list_id_of, raw_lists, template_of, text_of, why_unusable
from shared.adapters.graph.verdicts import permission_missing
from shared.core.errors import ConfigurationError, Doubt, GraphUnavailable
from shared.core.ids import ListId, SiteId
from shared.core.provisioning import ListPlan, ProvisionedList

_ROUNDS = 5
"""Rounds of looking and doing before what is left is reported."""


class Provisioner:
    """Makes lists and columns, one request at a time: parallel column creation fails (pnpjs #2646, sp-dev-docs #9217)."""

    def __init__(self, client: GraphClient, site_id: SiteId) -> None:
        self._client = client
        self._site = site_id

    def provision(self, plan: ListPlan) -> ProvisionedList:
        """The list of a plan, found or made, with all its columns under their real names.

        Idempotent and resumable: it may be called again after any failure. Raises ConfigurationError with every problem
        that a person has to solve, PermissionMissing, ListGone, Throttled, GraphUnavailable.
        """
        element, created = self._list(plan)
        list_id = list_id_of(element)
        self._check_owner(plan, element, list_id)
        done = [f"The list {plan.display_name} was created."] if created else []
        done += self._mark(plan, element, list_id)
        columns, changes = self._columns(plan, list_id)
        key = matching(KEY, columns)
        return ProvisionedList(
            list_id=list_id,
            display_name=text_of(element, "displayName"),
            web_url=text_of(element, "webUrl"),
            key_column=KEY.name if key is None else key.column.name,
            columns=tuple(provisioned(wanted, columns) for wanted in plan.columns),
            created=created,
            changes=(*done, *changes),
        )

    def drift(self, plan: ListPlan, list_id: ListId) -> tuple[str, ...]:
        """How the list's columns differ from the plan, a sentence each, without changing anything."""
        sentences = []
        for step in steps_for(plan, self.columns(list_id)):
            match step:
                case Obstacle(sentence=sentence):
                    sentences.append(sentence)
                case AddColumn(body=body):
                    sentences.append(f"The list has no column {body['name']}.")
                case ChangeColumn(body=body, sentence=sentence):
                    name = sentence.split(" was changed")[0]
                    sentences.append(f"{name} differs from the definition: {', '.join(sorted(body))}.")
        return tuple(sentences)

    def columns(self, list_id: ListId) -> list[Shown]:
        """All columns of a list, hidden ones included. 2 RU."""
        address = urls.columns(self._site, list_id).query({"$select": SELECT})
        return columns_of(self._client.get(address, action="graph.columns", ru=RU_MULTI_READ))

    # ------------------------------------------------------------ the list

    def _list(self, plan: ListPlan) -> tuple[object, bool]:
        if plan.existing is not None:
            address = urls.list_of(self._site, plan.existing)
            return self._client.get(address, action="graph.list", ru=RU_SINGLE_READ), False
        found = self._find(plan)
        if found is not None:
            return found, False
        body = {
            "displayName": plan.display_name,
            "description": _described(plan.description, plan),
            "list": {"template": "genericList"},
        }
        answer = self._write("POST", urls.lists(self._site), body)
        if answer.ok and answer.readable:
            return answer.body, True
        if answer.status == 409:  # it came into being meanwhile: perhaps by our own request that got no answer
            found = self._find(plan)
            if found is not None:
                return found, False
            if answer.says("nameAlreadyExists"):
                raise ConfigurationError(
                    f"A list named {plan.display_name} is there, but Graph does not show it; choose another name.",
                    code="list_name_taken",
                )
        raise self._refusal(answer, f"The list {plan.display_name} was not created.")

    def _find(self, plan: ListPlan) -> object | None:
        """By our marker first: a person may have renamed the list."""
        known = raw_lists(self._client, self._site)
        marked = [element for element in known if plan.marker in text_of(element, "description")]
        named = [element for element in known if text_of(element, "displayName").lower() == plan.display_name.lower()]
        return next(iter(marked + named), None)

    def _check_owner(self, plan: ListPlan, element: object, list_id: ListId) -> None:
        """A list is ours, or empty, or refused: rows are never mixed with what others keep there."""
        name = text_of(element, "displayName")
        if (why := why_unusable(template_of(element))) is not None:
            raise ConfigurationError(
                f"The list {name} cannot be used: {why}. Choose a plain list.", code="unusable_list"
            )
        description = text_of(element, "description")
        if "[SyncBridge " in description and plan.marker not in description:
            raise ConfigurationError(
                f"The list {name} belongs to another definition (its description says which); choose another list.",
                code="list_taken",
            )
        if plan.marker in description and matching(KEY, self.columns(list_id)) is not None:
            return
        if not self._empty(list_id):
            raise ConfigurationError(
                f"The list {name} holds items that did not come from this definition: choose an empty list, or a new name.",
                code="list_not_empty",
            )

    def _empty(self, list_id: ListId) -> bool:
        address = urls.items(self._site, list_id).query({"$select": "id", "$top": "1"})
        body = self._client.get(address, action="graph.items", ru=RU_MULTI_READ)
        return not page_of(body) and member(body, "@odata.nextLink") is None

    def _mark(self, plan: ListPlan, element: object, list_id: ListId) -> list[str]:
        description = text_of(element, "description")
        if plan.marker in description:
            return []
        marked = {"description": _described(description, plan)}
        answer = self._write("PATCH", urls.list_of(self._site, list_id), marked)
        if not answer.ok:
            raise self._refusal(answer, "The list's description could not be changed.")
        return ["The list was marked as this definition's."]

    # ------------------------------------------------------------ its columns

    def _columns(self, plan: ListPlan, list_id: ListId) -> tuple[list[Shown], list[str]]:
        done: list[str] = []
        steps: list[Step] = []
        for _ in range(_ROUNDS):
            columns = self.columns(list_id)
            steps = steps_for(plan, columns)
            if not steps:
                return columns, done
            if problems := tuple(step.sentence for step in steps if isinstance(step, Obstacle)):
                raise ConfigurationError(" ".join(problems), problems=problems, code="columns_refused")
            for step in steps:
                done += self._do(step, list_id)
        left = tuple(f"Graph accepted this but did not keep it: {step.sentence}" for step in steps)
        raise ConfigurationError(" ".join(left), problems=left, code="columns_not_kept")

    def _do(self, step: Step, list_id: ListId) -> list[str]:
        match step:
            case AddColumn(body=body, sentence=sentence):
                answer = self._write("POST", urls.columns(self._site, list_id), body)
            case ChangeColumn(column_id=column_id, body=body, sentence=sentence):
                answer = self._write("PATCH", urls.column(self._site, list_id, column_id), body)
            case Obstacle(sentence=sentence):
                raise ConfigurationError(sentence, code="columns_refused")
        if answer.ok:
            return [sentence]
        if answer.status == 409:
            return []  # it is there by now, or a save conflict: the next round looks
        raise self._refusal(answer, f"SharePoint refused a step ({answer.described}): {sentence}")

    # ------------------------------------------------------------ requests

    def _write(self, method: str, address: urls.Address, body: object) -> Answer:
        request = Request(method=method, address=address, action="graph.provision", ru=RU_WRITE, body=body, writes=True)
        try:
            return self._client.send(request)
        except Doubt as doubt:
            raise GraphUnavailable(f"{doubt.message} Provision again: it goes on where it stopped.") from None

    def _refusal(self, answer: Answer, sentence: str) -> Exception:
        if answer.status == 403:
            missing = permission_missing(answer)
            missing.remedy = (
                "Making lists and columns needs Sites.Manage.All, or Sites.Selected with a 'manage' grant on this site."
            )
            return missing
        if answer.status == 400:
            return ConfigurationError(sentence, code="provisioning_refused")
        return self._client.failure(answer)


def _described(description: str, plan: ListPlan) -> str:
    return f"{description.strip()} {plan.marker}".strip()
