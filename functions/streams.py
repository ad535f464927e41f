"""Queue triggers of change streams: changed keys are marked and settled at once; what cannot be used is set aside."""

import azure.durable_functions as df
import azure.functions as func

from functions import names
from functions.container import engine

blueprint = df.Blueprint()


@blueprint.queue_trigger(arg_name="message", queue_name=names.CDC_CHANGES, connection=names.QUEUE_CONNECTION)
@blueprint.function_name(names.CHANGES_ARRIVED)
def changes_arrived(message: func.QueueMessage) -> None:
    """A message that fails is given again by the host, and after five times put into the poison queue."""
    engine().take_message(_text(message))


@blueprint.queue_trigger(
    arg_name="message", queue_name=f"{names.CDC_CHANGES}-poison", connection=names.QUEUE_CONNECTION
)
@blueprint.function_name(names.CHANGES_POISONED)
def changes_poisoned(message: func.QueueMessage) -> None:
    """Kept with its reason, where a person sees it and can have it tried again."""
    engine().park_poison(_text(message))


def _text(message: func.QueueMessage) -> str:
    return message.get_body().decode(errors="replace")
