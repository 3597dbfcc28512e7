"""``hocba targets`` against the real ledger: owners, leases, alarms."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gateway.delivery.effects import Write
from gateway.edges.delivery_ledger import DeliveryLedger, Flush
from gateway.edges.ledger import Pool, make_pool
from gateway.ops.cli import app

pytestmark = pytest.mark.servers

CONFIG = """
slots: 2
kafka: {{bootstrap_servers: "nowhere:1"}}
ledger: {{url: "{url}"}}
keys_file: unused
state_dir: unused
registry: {{url: "http://unused", credentials_file: unused}}
targets:
  sector: {{contract: unused, url: "http://unused", credentials_file: unused}}
  population: {{contract: unused, url: "http://unused", credentials_file: unused}}
"""


@dataclass(frozen=True)
class Site:
    """A ledger, and the command over it."""

    url: str
    config: Path

    def run(self, *arguments: str) -> Result:
        given = ["targets", *arguments, "--config", str(self.config)]
        return CliRunner().invoke(app, given, catch_exceptions=False)

    def rows(self, *arguments: str, code: int) -> list[dict[str, Any]]:
        result = self.run(*arguments, "--json")
        assert result.exit_code == code, result.output
        rows: list[dict[str, Any]] = json.loads(result.stdout)
        return rows

    def own(self, target: str, slot: int, then: Callable[[DeliveryLedger], Awaitable[None]] | None = None) -> None:
        """Take a slot over for a minute."""

        async def owning() -> None:
            pool: Pool = make_pool(self.url, 1)
            await pool.open()
            ledger = DeliveryLedger(pool, target, slot, "host:7")
            await ledger.raise_epoch()
            await ledger.renew(60.0)
            if then is not None:
                await then(ledger)
            await pool.close()

        asyncio.run(owning())


@pytest.fixture
def site(ledger_url: str, tmp_path: Path) -> Site:
    config = tmp_path / "gateway.yaml"
    config.write_text(CONFIG.format(url=ledger_url), "utf-8")
    return Site(ledger_url, config)


def test_slots_that_nobody_owns_are_shown_and_fail(site: Site) -> None:
    site.own("sector", 1)

    rows = site.rows("--target", "sector", code=1)

    assert [(row["slot"], row["owner"], row["epoch"], row["alarm"]) for row in rows] == [
        (0, "", 0, ""),
        (1, "host:7", 1, ""),
    ]
    assert rows[0]["lease_left_s"] == 0
    assert 50.0 < rows[1]["lease_left_s"] <= 60.0


def test_all_is_well_when_each_slot_is_owned_and_nothing_holds_its_target(site: Site) -> None:
    for target in ("sector", "population"):
        for slot in (0, 1):
            site.own(target, slot)

    assert [row["target"] for row in site.rows(code=0)] == ["population", "population", "sector", "sector"]
    assert "host:7" in site.run().stdout


def test_what_holds_a_target_is_shown_with_its_fix_in_both_languages(site: Site) -> None:
    site.own("sector", 0, lambda ledger: ledger.tell_held("TG-08"))
    site.own("sector", 1)

    held, free = site.rows("--target", "sector", code=1)
    assert (held["alarm"], held["problem"]["owner"], free["alarm"], free["problem"]) == ("TG-08", "operator", "", None)
    assert held["alarm_since"]
    shown = site.run("--target", "sector").stdout
    assert "credentials file" in shown
    assert "tệp thông tin đăng nhập" in shown


def test_what_holds_a_target_neither_covers_nor_ends_its_refusal_of_everything(site: Site) -> None:
    async def story(ledger: DeliveryLedger) -> None:
        await ledger.write(Flush([Write(1, alarm="TG-07")]))
        await ledger.tell_held("TG-08")
        await ledger.tell_held("")

    site.own("sector", 0, story)

    assert site.rows("--target", "sector", code=1)[0]["alarm"] == "TG-07"


def test_a_former_owner_says_nothing_of_the_slot_and_a_new_one_begins_without_alarms(site: Site) -> None:
    async def story(first: DeliveryLedger) -> None:
        await first.tell_held("TG-08")
        await DeliveryLedger(first._pool, "sector", 0, "host:8").raise_epoch()  # noqa: SLF001  the same database
        await first.tell_held("TG-11")

    site.own("sector", 0, story)

    row = site.rows("--target", "sector", code=1)[0]
    assert (row["owner"], row["alarm"], row["alarm_since"]) == ("host:8", "", None)


def test_a_target_that_is_not_configured_is_told(site: Site) -> None:
    result = site.run("--target", "archive")

    assert result.exit_code == 1
    assert "targets: sector, population" in result.stderr
