"""One claimed row subject on its way through a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from uuid import UUID

from shared.core.backlog import Claimed
from shared.core.ids import Digest, FieldNo, Identity, IdentityHash, RowSubject, RowVersion, sync_key
from shared.core.items import Item
from shared.core.ledger import EntryState, Intent, IntentKind, LedgerEntry, Provenance
from shared.core.mapping import Value
from shared.core.runs import RunCounts
from shared.core.source import Row
from shared.core.wishes import Wish

Values = Mapping[FieldNo, Value]


@dataclass(slots=True, kw_only=True)
class Work:
    """Mutable: a page's private state. What others may see of it is in the ledger."""

    claimed: Claimed
    identity: Identity
    known: LedgerEntry | None
    """The ledger's entry as it stands there now, with the intents that are on record."""
    state: EntryState | None
    """The entry's state, with what recovery learned and what this page's row half has done."""
    look: bool
    """Read the item, instead of assuming that it is what the ledger says."""
    probe: bool = False
    """Ask for the item by its sync key, whatever the ledger says about its id."""
    row: Row | None = None
    row_values: Values = field(default_factory=dict)
    item: Item | None = None
    item_read: bool = False
    item_values: Values = field(default_factory=dict)
    unedited: frozenset[FieldNo] = frozenset()
    """Fields in which the item has nobody's edit, by the last decision."""
    made: Item | None = None
    """The item that has the row's key, where the ledger has another one: a create of ours, whose answer was lost, made it."""
    observed: bool = False
    """A capture's reading was used: once, for after a definite no only a look tells."""
    base: Mapping[FieldNo, Digest] | None = None
    """The merge base, with what recovery learned and what this page's row half has agreed on."""
    doubts: tuple[Intent, ...] = ()
    """Writes of ours that may have landed or may still land."""
    landed: list[Intent] = field(default_factory=list)
    void_ops: list[UUID] = field(default_factory=list)
    """Writes that certainly did not land."""
    final_ops: list[UUID] = field(default_factory=list)
    """Writes that are known to have landed; on record until the confirmation."""
    duplicates: int = 0
    missed: RowVersion | None = None
    """The version on which a write to the row did nothing, although it was the row's; "" for an insert."""
    delete_allowed: bool = False
    """The rolling day's allowance has already let this delete through."""
    wrote_row: Provenance | None = None
    """PULL once this page has written the row: what the agreement came from if the item is not written after it."""
    quarrels: bool = False
    """What this page wrote undoes somebody else's write."""
    untold: bool = False
    """The row had changed without its cursor column; counted once it is settled."""
    counts: RunCounts = field(default_factory=RunCounts)
    """What this page did to the row; told with the conclusion."""
    wishes: tuple[Wish, ...] = ()
    """Values that people want back."""
    met: list[UUID] = field(default_factory=list)
    """Wishes that were carried out, by their conflict."""
    refused: dict[UUID, str] = field(default_factory=dict)
    """Wishes that cannot be carried out, with the reason."""

    @property
    def key(self) -> bytes:
        return self.claimed.subject.key

    @property
    def creates(self) -> bool:
        """Whether a create of ours is on record of which nobody knows what became of it."""
        return any(intent.kind is IntentKind.CREATE_ITEM for intent in self.doubts)

    @property
    def lacks_key(self) -> bool:
        """Whether the item, as read, does not say whose it is."""
        return self.item is not None and self.item.sync_key != sync_key(IdentityHash(self.key))

    @property
    def open_wishes(self) -> tuple[Wish, ...]:
        return tuple(w for w in self.wishes if w.conflict not in self.met and w.conflict not in self.refused)

    def again(self) -> None:
        """Forget this round's readings: what was read has moved."""
        self.look, self.row, self.item, self.item_read, self.made = True, None, None, False, None
        self.row_values, self.item_values = {}, {}

    def took_effect(self, intent: Intent) -> None:
        """A definite yes: it stays on record until the confirmation, or a crash would forget it."""
        self.final_ops.append(intent.op)
        self.doubts = tuple(other for other in self.doubts if other.op != intent.op)

    def void(self, intent: Intent) -> None:
        """A definite no: the intent does not speak any more."""
        self.void_ops.append(intent.op)
        self.doubts = tuple(other for other in self.doubts if other.op != intent.op)
        if self.known is not None:
            kept = tuple(other for other in self.known.intents if other.op != intent.op)
            self.known = replace(self.known, intents=kept)


def start(claimed: Claimed, entry: LedgerEntry | None) -> Work:
    subject = claimed.subject
    assert isinstance(subject, RowSubject)  # noqa: S101  strays are settled elsewhere
    return Work(
        claimed=claimed,
        identity=subject.identity,
        known=entry,
        state=entry.state if entry else None,
        look=False,
        base=entry.base if entry else None,
        doubts=entry.intents if entry else (),
    )
