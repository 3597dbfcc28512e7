"""A delivery worker for the proofs: ``python -m tests.e2e.children.delivery_child MUTATION STAGE --config FILE``.

Its sessions at PostgreSQL carry its owner's name, so that triggers can tell whose row was written.  MUTATION takes one
rule out, the fault that a proof must find: ``no-lease`` sends whatever its lease says, ``no-epoch`` writes and renews
whatever the epoch says; ``none`` is the worker as it is.
"""

import asyncio
import os
import signal
import socket
import sys

from gateway.edges import delivery_sql
from gateway.edges.delivery_ledger import DeliveryLedger
from gateway.ops import worker
from gateway.workers.delivery_lease import Lease

NO_EPOCH = """
UPDATE slot_owner SET lease_until = now() + make_interval(secs => %s)
WHERE target = %s AND slot = %s AND %s > 0 RETURNING 1
"""


def mutate(mutation: str) -> None:
    """Take the rule out."""
    match mutation:
        case "no-lease":

            async def at_once(lease: Lease) -> None:
                del lease

            setattr(Lease, "ready", at_once)  # noqa: B010  the mutation
        case "no-epoch":

            async def unfenced(ledger: DeliveryLedger, connection: object) -> None:
                del ledger, connection

            setattr(DeliveryLedger, "_fence", unfenced)  # noqa: B010  the mutation
            delivery_sql.RENEW = NO_EPOCH  # type: ignore[misc]  # the mutation
        case _:
            assert mutation == "none", mutation


def tell_tasks(*_: object) -> None:
    """On SIGUSR1: where every task of the loop stands, for a worker that does not move."""
    for task in asyncio.all_tasks():
        task.print_stack(limit=4)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, tell_tasks)
    os.environ["PGAPPNAME"] = f"{socket.gethostname()}:{os.getpid()}"
    mutate(sys.argv[1])
    code = worker.main(sys.argv[2:])
    sys.stderr.flush()
    os._exit(code)
