"""What a person should do about messages that failed again and again."""


def advice(*, parked: int, dropped: int, failed: int) -> str | None:
    """In words, of the worst of it. `failed`: in the poison queue, which empties by itself. None: there is nothing to do."""
    if parked:
        return (
            "messages could not be used: GET /api/v1/ops/changes/parked shows their reasons. Mend the cause, then replay each"
            " with POST /api/v1/ops/changes/parked/{message_id}/replay, or discard it: the next scan finds what it was about."
        )
    if failed:
        return (
            "messages failed again and again, and wait to be set aside. If that stays so, the function that takes the poison "
            "queue does not run: its log says why."
        )
    if dropped:
        return (
            "hints that a list changed were dropped lately; the audit has the hash of each. Nothing has to be replayed: the next"
            " poll reads the list, and POST /api/v1/ops/ingress/{definition_id} reads it now."
        )
    return None
