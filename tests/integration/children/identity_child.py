"""A child process for identity's kill tests: the real worker of stage 2; ``… identity_child CONFIG``."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from gateway.config import load_config
from gateway.edges.telemetry import configure_logs
from gateway.workers.identity import run


async def main() -> None:
    """Run until killed or told to end."""
    config = load_config(Path(sys.argv[1]), os.environ)
    configure_logs("identity")
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await run(config, stop)


if __name__ == "__main__":
    asyncio.run(main())
