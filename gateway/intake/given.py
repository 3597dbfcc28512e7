"""What is found out about a message before it is mapped, by steps that wait or cost: a writer schema, signatures.

The stage's shell asks for it before a transaction opens (`workers/intake_given.py`); the connector only reads it.
"""

from dataclasses import dataclass

from gateway.errors import Problem


@dataclass(frozen=True, slots=True)
class Given:
    """*findings* count for every item of the message; *schema* is the parsed Avro writer schema of its bytes."""

    findings: tuple[Problem, ...] = ()
    schema: object | None = None


NOTHING = Given()
