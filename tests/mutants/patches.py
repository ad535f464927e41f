"""Ways to patch production code that several mutants use. A patch that finds nothing to change is an error."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from shared.adapters.metastore.ledger import LedgerStore
from shared.adapters.metastore.statements import load
from shared.adapters.postgres.queries import queries
from shared.core.ledger import IntentKind
from shared.settle import decide
from tests.mutants.mutant import Apply


def put(target: Any, name: str, made: Any) -> Apply:
    """`target.name` is something else."""
    return lambda stack: stack.enter_context(patch.object(target, name, made))


def both(*patches: Apply) -> Apply:
    def apply(stack: ExitStack) -> None:
        for one in patches:
            one(stack)

    return apply


def in_metastore(noun: str, name: str, *changes: tuple[str, str]) -> Apply:
    """A statement of the metastore says something else, also where a module has put it together with others."""
    return lambda stack: _restate(stack, "shared.adapters.metastore.", load(noun), name, changes)


def in_source(file: str, name: str, *changes: tuple[str, str]) -> Apply:
    """The same of the static statements to source databases."""
    return lambda stack: _restate(stack, "shared.adapters.postgres.", queries(file), name, changes)


def _restate(
    stack: ExitStack, package: str, statements: Mapping[str, str], name: str, changes: tuple[tuple[str, str], ...]
) -> None:
    former = changed = statements[name]
    for old, new in changes:
        if old not in changed:
            raise AssertionError(f"the statement {name} does not say {old!r}")
        changed = changed.replace(old, new)
    stack.enter_context(patch.dict(statements, {name: changed}))  # type: ignore[arg-type]
    for module in [module for full, module in sys.modules.items() if full.startswith(package)]:
        for attribute, value in list(vars(module).items()):
            if isinstance(value, str) and former in value:
                stack.enter_context(patch.object(module, attribute, value.replace(former, changed)))


def without_base(stack: ExitStack) -> None:
    """Both sides are compared as if nothing had ever been agreed on."""
    real = decide.reconcile

    def reconcile(reading: Any, policy: Any, *, approved: bool) -> Any:
        return real(replace(reading, base=None), policy, approved=approved)

    stack.enter_context(patch.object(decide, "reconcile", reconcile))


def without_intents(*kinds: IntentKind) -> Apply:
    """Writes of these kinds are not recorded before they are sent."""

    def apply(stack: ExitStack) -> None:
        real = LedgerStore.intend

        def intend(self: Any, definition: Any, token: Any, updates: Sequence[Any]) -> Any:
            bare = [
                replace(
                    update,
                    entry=replace(
                        update.entry, intents=tuple(one for one in update.entry.intents if one.kind not in kinds)
                    ),
                )
                for update in updates
            ]
            return real(self, definition, token, bare)

        stack.enter_context(patch.object(LedgerStore, "intend", intend))

    return apply
