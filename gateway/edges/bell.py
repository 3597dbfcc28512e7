"""Waiting for an event, or for the time to pass."""

import asyncio


async def rings(bell: asyncio.Event, seconds: float) -> bool:
    """Whether *bell* rings within *seconds*.

    Not by ``wait_for``: until Python 3.12 it swallows a cancellation that comes together with the bell, and whoever
    cancelled the task would wait for it for ever.
    """
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        return False
    return True
