"""The quality of matching on labelled pairs: nobody is confirmed as somebody else, and few have to be looked at."""

from gateway.identity.names import bare
from tests.fakes.identity_pairs import ANOTHER, PAGE, SAME, page, pairs, quality


def test_no_pair_of_two_people_is_confirmed_and_few_of_one_person_need_a_look() -> None:
    found = pairs()
    precision, recall = quality(found)

    assert len(found) >= 500
    assert min(sum(pair.label == label for pair in found) for label in (SAME, ANOTHER)) >= 250
    assert precision == 1.0
    assert recall >= 0.98


def test_every_synthetic_name_is_marked_as_one() -> None:
    assert all("mau" in bare(one.full_name) for pair in pairs() for one in pair.people)


def test_the_page_shows_these_figures() -> None:
    """Rewrite it with: python -m tests.fakes.identity_pairs."""
    assert PAGE.read_text("utf-8") == page()
