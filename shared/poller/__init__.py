"""The container that reads replication slots and puts changed keys into the queue: `python -m shared.poller`."""
