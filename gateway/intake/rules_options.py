"""What the facts leave to configuration in the rules: one small value, from connector.yaml."""

from dataclasses import dataclass

OPTIONAL_SUBJECTS = frozenset({"14", "31", "70"})
"""Tiếng dân tộc thiểu số and Ngoại ngữ 2: whether they count for a study level is configuration (SR-4)."""


@dataclass(frozen=True, slots=True)
class Options:
    """*uncounted* are the subjects that no study level and no award counts."""

    uncounted: frozenset[str] = OPTIONAL_SUBJECTS


USUAL = Options()
COUNT_OPTIONAL = Options(uncounted=frozenset())
