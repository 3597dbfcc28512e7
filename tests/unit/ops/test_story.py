"""How the rows of one event become its story."""

from datetime import UTC, datetime

from gateway.edges.operator_ledger import ParkedRow
from gateway.edges.story_ledger import DeliveryRow, EventState, HeadRow, LedgerStory
from gateway.ops.format import coloured, console, story_tree, text
from gateway.ops.story import Story, at_targets, positions, reason, shown
from gateway.record import Position

AT = datetime(2026, 6, 1, tzinfo=UTC)
EVENT = "00000000-0000-5000-8000-000000000001"
RECORD = "00000000-0000-5000-8000-000000000002"


def parked(stage: str = "delivery", target: str = "sector", state: str = "parked") -> ParkedRow:
    return ParkedRow(
        stage, target, 3, 1042, -7, RECORD, EVENT, "mau", 2025, 2, "UPDATE", state, None, "TG-02", "birth_date",
        "school", "HB-501", 1, 2, AT, None, False,
    )  # fmt: skip


def state(target: str, name: str, code: str = "") -> EventState:
    return EventState(
        EVENT, target, "mau", RECORD, None, None, name, 2, 1, 2, code, "", "", "vendor.mau.records", 1, 5, 0, AT
    )


def delivery(target: str, name: str) -> DeliveryRow:
    return DeliveryRow(target, RECORD, 2, 3, 1042, "UPDATE", name, "", EVENT, "submitted", 4, AT)


def known(**more: object) -> LedgerStory:
    empty: dict[str, object] = {
        "event_id": EVENT, "states": (), "rejection": None, "parked": (), "deliveries": (), "head": None, "orders": ()
    }  # fmt: skip
    return LedgerStory(**(empty | more))  # type: ignore[arg-type]


def test_each_target_is_told_once_with_the_vendors_state_and_the_proof_of_delivery() -> None:
    told = at_targets(
        known(
            states=(state("population", "accepted"), state("sector", "waiting", "GW-03")),
            deliveries=(delivery("population", "accepted"),),
            parked=(parked(),),
        )
    )

    assert [(at.target, at.state, at.version) for at in told] == [
        ("population", "accepted", 2),
        ("sector", "waiting", 2),
    ]
    assert (told[0].attempts, told[0].packet_step, told[0].parked_as) == (4, "submitted", None)
    assert (told[1].code, told[1].target_code, told[1].parked_as) == ("GW-03", "HB-501", "delivery:sector:3:1042")


def test_a_target_known_from_the_ledger_alone_is_told_before_its_receipt_arrives() -> None:
    told = at_targets(known(deliveries=(delivery("sector", "submitted"),), parked=(parked(target="population"),)))

    assert [(at.target, at.state) for at in told] == [("population", "parked"), ("sector", "submitted")]


def test_a_closed_parked_row_is_no_state() -> None:
    assert at_targets(known(parked=(parked(state="closed"),))) == []


def test_the_places_in_our_topics_come_from_what_holds_them() -> None:
    held = parked("identity", "", "closed")

    assert positions(known()) == (None, None)
    assert positions(known(parked=(held,), head=HeadRow(RECORD, 3, 2, 9, "NEW"))) == (
        Position("gateway.mapped", 3, 1042),
        Position("national.records", 3, 9),
    )
    assert positions(known(parked=(parked(),)))[1] == Position("national.records", 3, 1042)


def test_a_shown_row_has_its_id_and_the_texts_of_its_reason_and_no_lane() -> None:
    plain = shown(parked())

    assert plain["id"] == "delivery:sector:3:1042"
    assert plain["problem"]["fix_vi"]
    assert "lane" not in plain


def test_a_code_that_the_catalogue_does_not_know_has_no_texts() -> None:
    assert reason("HB-501", "") is None


def test_a_story_without_anything_known_is_still_told() -> None:
    nothing = Story(EVENT, "", None, None, None, None, None, (), None, (), (), ())
    screen = console()

    with screen.capture() as captured:
        screen.print(story_tree(nothing))

    assert "not known yet" in captured.get()


def test_foreign_text_is_no_markup() -> None:
    assert text("subjects[15].mark") == "subjects[15].mark"
    assert text("[red]x") == "\\[red]x"
    assert text(None) == "–"
    assert coloured("accepted") == "[green]accepted[/green]"
