"""What the public documentation leaves open, as named settings with a default and the reason for it."""

from dataclasses import dataclass
from typing import Any

from infra.simulator.errors import Unfit


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    name: str
    default: Any
    reason: str
    choices: tuple[Any, ...] = ()


KNOBS: tuple[Knob, ...] = (
    Knob(name="page_size_default", default=200, reason="items per page without $top; reported, not documented"),
    Knob(
        name="page_size_max",
        default=5000,
        reason="SharePoint's own page ceiling; the documentation names no maximum of $top",
    ),
    Knob(
        name="unique_violation",
        default=409,
        choices=(409, 400, 500),
        reason="no authoritative code for list items; all three are reported",
    ),
    Knob(
        name="precondition_body",
        default="resourceModified",
        choices=("resourceModified", "notAllowed"),
        reason="412 bodies are not documented",
    ),
    Knob(
        name="required_enforced", default=False, reason="an API write without a required value is not reliably refused"
    ),
    Knob(
        name="choice_outside",
        default="store",
        choices=("store", "refuse"),
        reason="a value outside the choices: documentation silent",
    ),
    Knob(
        name="xml_illegal",
        default="refuse",
        choices=("refuse", "store"),
        reason="characters XML 1.0 forbids: documentation silent",
    ),
    Knob(name="hyperlink_write", default=400, choices=(400, 500), reason="both are reported for writing a hyperlink"),
    Knob(
        name="wrong_date_echo",
        default=True,
        reason="write answers show site-local time labelled Z (msgraph docs issue 5293 and others)",
    ),
    Knob(
        name="version_times_shifted",
        default=True,
        reason="version times are converted twice (microsoft-graph-docs issue 12328)",
    ),
    Knob(name="single_item_fields", default=True, reason="GET of one item brings its fields even without $expand"),
    Knob(
        name="hidden_fields_shown",
        default=False,
        reason="whether `fields` shows hidden columns nobody selected: documentation silent",
    ),
    Knob(
        name="integral_as",
        default="float",
        choices=("float", "int"),
        reason="3 and 3.0 are both seen for whole numbers",
    ),
    Knob(name="number_digits", default=15, reason="SharePoint promises 15 significant digits of a double"),
    Knob(
        name="note_line_ends",
        default="keep",
        choices=("keep", "crlf"),
        reason="line ends of multi-line text on reads: documentation silent",
    ),
    Knob(name="trim_text", default=False, reason="trimming of single-line text: documentation silent"),
    Knob(name="versioning_default", default=True, reason="new generic lists keep versions in SharePoint Online"),
    Knob(
        name="restore_bumps_version",
        default=False,
        reason="eTag of an item restored from the recycle bin: documentation silent",
    ),
    Knob(
        name="display_name_ignored",
        default=False,
        reason="displayName on column create is sometimes ignored (beta-sdk-dotnet issue 432)",
    ),
    Knob(
        name="columns_lost_on_list_create",
        default=False,
        reason="a list POST was seen to drop its columns (docs-contrib issue 675)",
    ),
    Knob(name="threshold", default=5000, reason="list view threshold"),
    Knob(
        name="threshold_flavour",
        default="429",
        choices=("429", "422"),
        reason="both answers are reported over the threshold",
    ),
    Knob(
        name="indexed_over_threshold_fails",
        default=False,
        reason="whether an indexed filter with more matches fails: documentation silent",
    ),
    Knob(
        name="orderby",
        default="ignore",
        choices=("ignore", "refuse"),
        reason="$orderby is undocumented; both are reported",
    ),
    Knob(
        name="sporadic_conflict_rate",
        default=0.0,
        reason="409 of writes without If-Match and of new items and columns (onedrive-api-docs issues 1414, 1415; pnpjs 2646)",
    ),
    Knob(
        name="delta_retention_days",
        default=60.0,
        reason="SharePoint's change log keeps 60 days; token life is undocumented",
    ),
    Knob(
        name="delta_gone_code",
        default="resyncChangesApplyDifferences",
        choices=(
            "resyncChangesApplyDifferences",
            "resyncChangesUploadDifferences",
            "resyncRequired",
            "resyncApplyDifferences",
            "resyncUploadDifferences",
            "syncStateNotFound",
        ),
        reason="which 410 code comes is not documented",
    ),
    Knob(
        name="delta_gone_flavour",
        default=410,
        choices=(410, 400, 404),
        reason="resync codes with other statuses are reported",
    ),
    Knob(name="delta_shuffle", default=True, reason="no order is promised"),
    Knob(name="delta_repeat_rate", default=0.0, reason="items may repeat within a page or over pages; the last counts"),
    Knob(name="delta_empty_page_rate", default=0.0, reason="a page may be empty and still have a next link"),
    Knob(
        name="delta_poison",
        default=False,
        reason="an error object inside a page (msgraph-sdk-typescript issues 544, 545)",
    ),
    Knob(
        name="delta_unmarked_deletes", default=False, reason="deleted entries without a marker (Microsoft Q&A 1656330)"
    ),
    Knob(name="delta_lost_deletes", default=False, reason="deletes by list-wide operations may be absent"),
    Knob(
        name="delta_unchanged_rate",
        default=0.0,
        reason="unchanged items appear now and then (microsoft-graph-docs issue 15378)",
    ),
    Knob(name="delta_lag_seconds", default=0.0, reason="a change may show to GET before it shows to delta"),
    Knob(name="delta_available", default=True, reason="pages contradict each other about national clouds"),
    Knob(name="batch_shuffle", default=True, reason="answers of a batch come in any order"),
    Knob(name="throttling", default=True, reason="off: budgets are counted and never refuse"),
    Knob(name="throttle_status", default=429, choices=(429, 503), reason="both are documented"),
    Knob(
        name="throttle_body", default="sharepoint", choices=("sharepoint", "gateway"), reason="both bodies are reported"
    ),
    Knob(name="retry_after", default=True, reason="off: throttled answers carry no Retry-After"),
    Knob(name="ratelimit_headers", default=True, reason="RateLimit headers are best effort"),
    Knob(name="ratelimit_share", default=0.8, reason="documented: headers from 80 % of the minute's units on"),
    Knob(name="token_life_min", default=3600, reason="documented: 60 to 90 minutes"),
    Knob(name="token_life_max", default=5400, reason="documented: 60 to 90 minutes"),
    Knob(
        name="audience",
        default="https://graph.microsoft.com",
        reason="scope and audience follow the cloud; any listed Graph host is accepted",
    ),
    Knob(name="allow_loopback_http", default=False, reason="the service demands https; a laptop has no certificate"),
    Knob(
        name="notification_verify_tls",
        default=True,
        reason="the service demands a trusted certificate; a laptop has its own",
    ),
    Knob(name="notification_delay_min", default=1.0, reason="published latency: below a minute on average"),
    Knob(
        name="notification_delay_max", default=30.0, reason="published latency: below a minute on average, five at most"
    ),
    Knob(name="notification_lost_rate", default=0.0, reason="nothing tells that a notification was lost"),
    Knob(name="notification_repeat_rate", default=0.0, reason="several notices for one change are reported"),
    Knob(name="notification_timeout", default=10.0, reason="documented: ten seconds; older pages say 3 and 30"),
    Knob(name="notification_retry_hours", default=4.0, reason="documented"),
    Knob(name="notification_paused", default=False, reason="a person pauses all notifications"),
    Knob(
        name="subscription_duplicate",
        default="allow",
        choices=("allow", "refuse"),
        reason="409 for duplicates is documented for Outlook only",
    ),
    Knob(name="client_state_max", default=128, choices=(128, 255), reason="the two documentation pages differ"),
    Knob(name="request_log_size", default=20000, reason="oldest entries are dropped"),
    Knob(name="silence_seconds", default=120.0, reason="longest time a silent fault keeps a connection"),
    Knob(name="body_max", default=4 * 1024 * 1024, reason="Graph takes four megabytes"),
    Knob(name="target_max", default=16 * 1024, reason="longest path and query"),
)

BY_NAME = {knob.name: knob for knob in KNOBS}


_HIGHEST = 2**31


class Knobs:
    """Current values, read as attributes are: `knobs["page_size_max"]`."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {knob.name: knob.default for knob in KNOBS}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def all(self) -> dict[str, Any]:
        return dict(self._values)

    def changed(self) -> dict[str, Any]:
        """Only what differs from the defaults."""
        return {name: value for name, value in self._values.items() if value != BY_NAME[name].default}

    def set(self, changes: dict[str, Any]) -> None:
        """All or nothing. Raises ValueError naming the knob and what it accepts."""
        for name, value in changes.items():
            self._check(name, value)
        self._values.update(changes)

    def reset(self) -> None:
        self._values = {knob.name: knob.default for knob in KNOBS}

    @staticmethod
    def _check(name: str, value: Any) -> None:
        knob = BY_NAME.get(name)
        if knob is None:
            raise Unfit(f"there is no knob {name}")
        if knob.choices and value not in knob.choices:
            raise Unfit(f"knob {name} takes one of {', '.join(map(str, knob.choices))}")
        match knob.default:
            case bool() | str():
                fits = type(value) is type(knob.default)
            case int():
                fits = isinstance(value, int) and not isinstance(value, bool) and _lowest(name) <= value <= _HIGHEST
            case _:
                fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _HIGHEST
        if not fits:
            raise Unfit(f"knob {name} takes a value like {knob.default!r}")


def _lowest(name: str) -> int:
    return 1 if name.startswith("page_size") else 0
