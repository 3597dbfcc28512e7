"""A lease for tests of what leaves under one."""


class FreeLease:
    """Allows everything, each request for five seconds."""

    request_s = 5.0

    async def ready(self) -> None:
        """At once."""
