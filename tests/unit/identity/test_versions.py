"""Which national version an event becomes."""

from dataclasses import replace

from gateway.identity.versions import (
    HIGHEST_VERSION,
    AlreadyOut,
    Conflict,
    Duplicate,
    Entry,
    Head,
    ParkCancel,
    Publish,
    Superseded,
    mint,
)
from gateway.record import Op, SourceOrder

ALPHA, BETA = ("alpha", "01999001"), ("beta", "01999002")
NOBODY: frozenset[tuple[str, str]] = frozenset()


def entry(event: str, order: int, content: str = "p", *, epoch: int = 0, op: Op = Op.UPDATE) -> Entry:
    return Entry(event, ALPHA, SourceOrder(epoch, order), content, op)


HEAD = Head(3, entry("head", 5))


def test_a_higher_order_is_the_next_version() -> None:
    assert mint(HEAD, [], entry("new", 6), NOBODY) == Publish(4)
    assert mint(None, [], entry("new", 1), NOBODY) == Publish(1)


def test_a_raised_epoch_outranks_every_order_of_the_old_one() -> None:
    assert mint(HEAD, [], entry("new", 1, epoch=1), NOBODY) == Publish(4)


def test_a_lower_order_is_superseded_and_an_equal_one_a_duplicate_or_a_conflict() -> None:
    assert mint(HEAD, [], entry("old", 4), NOBODY) == Superseded()
    assert mint(HEAD, [], entry("copy", 5), NOBODY) == Duplicate()
    assert mint(HEAD, [], entry("other", 5, "q"), NOBODY) == Conflict("CF-01")


def test_an_event_that_is_the_head_itself_is_already_out() -> None:
    assert mint(HEAD, [], entry("head", 5), NOBODY) == AlreadyOut()


def test_an_edit_mints_although_its_order_is_the_heads() -> None:
    edit = replace(entry("edit", 5, "q"), caused=True)

    assert mint(HEAD, [], edit, NOBODY) == Publish(4)
    assert mint(HEAD, [], replace(edit, content_hash="p"), NOBODY) == Duplicate()


def test_an_edit_replaces_the_parked_row_that_it_corrects() -> None:
    parked = entry("parked", 6, "q")

    assert mint(HEAD, [parked], replace(entry("again", 6, "q"), caused=True), NOBODY) == Publish(4, ("parked",))


def test_parked_rows_are_fences() -> None:
    parked = [entry("parked", 7)]

    assert mint(HEAD, parked, entry("between", 6), NOBODY) == Superseded()
    assert mint(HEAD, parked, entry("copy", 7), NOBODY) == Duplicate()
    assert mint(HEAD, parked, entry("newer", 8), NOBODY) == Publish(4, ("parked",))


def test_a_cancel_is_a_version_and_nothing_lower_brings_the_record_back() -> None:
    cancelled = Head(4, entry("cancel", 6, op=Op.CANCEL))

    assert mint(HEAD, [], entry("cancel", 6, op=Op.CANCEL), NOBODY) == Publish(4)
    assert mint(cancelled, [], entry("late", 5), NOBODY) == Superseded()


def test_a_cancel_of_an_unknown_record_parks() -> None:
    assert mint(None, [], entry("cancel", 6, op=Op.CANCEL), NOBODY) == ParkCancel()
    assert mint(None, [entry("parked", 5)], entry("cancel", 6, op=Op.CANCEL), NOBODY) == ParkCancel(("parked",))


def test_a_cancel_and_a_record_of_one_order_are_a_conflict() -> None:
    assert mint(HEAD, [], entry("cancel", 5, op=Op.CANCEL), NOBODY) == Conflict("CF-01")


def test_another_claimant_conflicts_whatever_its_order() -> None:
    for order in (1, 5, 9):
        assert mint(HEAD, [], replace(entry("theirs", order), claimant=BETA), NOBODY) == Conflict("CF-02")


def test_another_claimant_is_compared_with_its_own_parked_rows() -> None:
    parked = [replace(entry("theirs", 7), claimant=BETA)]

    assert mint(HEAD, parked, replace(entry("older", 6), claimant=BETA), NOBODY) == Superseded()
    assert mint(HEAD, parked, replace(entry("copy", 7), claimant=BETA), NOBODY) == Duplicate()
    assert mint(HEAD, parked, replace(entry("newer", 8), claimant=BETA), NOBODY) == Conflict("CF-02", ("theirs",))
    assert mint(HEAD, parked, entry("ours", 6), NOBODY) == Publish(4)


def test_who_waits_first_holds_the_record() -> None:
    assert mint(None, [entry("ours", 1)], replace(entry("theirs", 2), claimant=BETA), NOBODY) == Conflict("CF-02")


def test_a_hand_over_lets_another_claimant_go_on_from_the_head() -> None:
    theirs = replace(entry("theirs", 6), claimant=BETA)

    assert mint(HEAD, [], theirs, frozenset({BETA})) == Publish(4)
    assert mint(HEAD, [], replace(theirs, order=SourceOrder(0, 4)), frozenset({BETA})) == Superseded()


def test_the_last_version_of_five_digits_is_the_last() -> None:
    assert mint(replace(HEAD, version=HIGHEST_VERSION - 1), [], entry("new", 6), NOBODY) == Publish(HIGHEST_VERSION)
    assert mint(replace(HEAD, version=HIGHEST_VERSION), [], entry("new", 6), NOBODY) == Conflict("CF-04")
