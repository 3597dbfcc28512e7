"""Codes that a format or a function gives, each from the input that provokes it."""

from dataclasses import replace

from gateway.errors import Problem
from gateway.identity.names import How
from gateway.identity.verdicts import Confirmed, compare
from gateway.intake import RejectedWhole
from gateway.intake.functions import FUNCTIONS
from gateway.intake.values import Note
from tests.unit.identity.test_verdicts import CLAIM, PERSON
from tests.unit.intake.loaded import PLACE, PUBLISHED_MS, connectors


def test_an_avro_message_in_an_unknown_schema_is_rejected_whole() -> None:
    avro = next(connector for connector in connectors().values() if connector.format == "avro")
    found = avro.process(b"\x00\x7f\xff\xff\xff\x02ab", PLACE, PUBLISHED_MS)

    assert found == RejectedWhole((Problem("GW-05", "schema"),))


def test_a_code_that_lost_its_zeros_is_restored_with_a_warning() -> None:
    step = FUNCTIONS["pupil_code"].factory(width=10, pad=True)

    assert step("199990202") == Note("0199990202", "GW-06")
    assert step("0199990202") == "0199990202"


def test_a_name_in_another_order_is_confirmed_with_a_warning() -> None:
    family, *rest = PERSON.full_name.split()
    verdict = compare(replace(CLAIM, full_name=" ".join([*rest, family])), [PERSON])

    assert isinstance(verdict, Confirmed)
    assert verdict.warnings == (Problem("ID-06", "full_name", str(How.ORDER)),)
