"""What holds a stage, and what PostgreSQL will never take and must be raised."""

import psycopg
import pytest
from psycopg import errors

from gateway.edges import ledger


@pytest.mark.parametrize(
    "error", [errors.ProgramLimitExceeded, errors.StatementTooComplex, errors.UntranslatableCharacter]
)
async def test_values_that_postgresql_can_never_take_are_raised_not_waited_for(error: type[psycopg.Error]) -> None:
    async def refused() -> None:
        raise error

    with pytest.raises(error) as raised:
        await ledger.hold_while_down(refused, "test")

    assert ledger.refuses_content(raised.value)


@pytest.mark.parametrize("error", [*ledger.OUTAGES, errors.AdminShutdown, errors.DiskFull])
async def test_an_outage_is_waited_for(error: type[psycopg.Error], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "RETRY_S", 0.0)
    failures = [error(), error()]

    async def work() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert await ledger.hold_while_down(work, "test") == "done"
