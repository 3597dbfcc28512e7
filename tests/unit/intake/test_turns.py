"""Fair turns: shares follow the weights, nobody is left out, and the first turn goes round."""

from gateway.intake.turns import shares


def test_shares_follow_the_weights_and_nobody_gets_less_than_one() -> None:
    found = dict(shares({"a": 1, "b": 3, "c": 996}, 100, first=0))

    assert found == {"a": 1, "b": 1, "c": 99}
    assert dict(shares({"a": 1, "b": 3}, 400, first=0)) == {"a": 100, "b": 300}
    assert shares({}, 100, first=3) == []


def test_the_first_turn_goes_round_and_shares_stay() -> None:
    weights = {"c": 2, "a": 1, "b": 1}
    turns = [shares(weights, 8, first=first) for first in range(4)]

    assert [[name for name, _ in turn] for turn in turns] == [list("abc"), list("bca"), list("cab"), list("abc")]
    assert all(dict(turn) == {"a": 2, "b": 2, "c": 4} for turn in turns)
