"""The register of functions a mapping may name: each with typed arguments, what it gives, and examples that a test
runs.

A function is a factory: called once at load with the arguments of the mapping, it gives the step that runs for
every record.  What is missing in a mapping is written here in Python, with an example; never as code inside YAML.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gateway.intake.values import Step

Kind = Literal["string", "boolean", "date", "decimal", "integer", "instant", "same"]
"""What a step gives; *same* means: whatever came in."""

TEXTS: frozenset[Kind] = frozenset({"string", "integer", "decimal", "same"})
"""What reads as a text: no function takes a day, or a yes or no, for that."""

Factory = Callable[..., Step]


@dataclass(frozen=True, slots=True)
class Example:
    """One use of a function: what goes in, what comes out."""

    given: object
    result: object
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function."""

    name: str
    gives: Kind
    factory: Factory
    doc: str
    parameters: Mapping[str, inspect.Parameter]
    examples: tuple[Example, ...]
    few_values: bool
    """True where a year's records repeat few inputs, so that results are worth remembering."""
    takes: frozenset[Kind] = TEXTS
    """What it can read of the function before it; of an input it takes anything."""


FUNCTIONS: dict[str, Function] = {}


def example(given: object, result: object, **arguments: object) -> Example:
    """Calling the function with *arguments*, then its step with *given*, yields *result*."""
    return Example(given, result, arguments)


def function(
    gives: Kind, *examples: Example, few_values: bool = False, also_takes: frozenset[Kind] = frozenset()
) -> Callable[[Factory], Factory]:
    """Registers a factory under its own name; *also_takes*: what it reads of the function before it besides texts."""

    def register(factory: Factory) -> Factory:
        name = factory.__name__
        parameters = inspect.signature(factory).parameters
        FUNCTIONS[name] = Function(
            name, gives, factory, inspect.getdoc(factory) or "", parameters, examples, few_values, TEXTS | also_takes
        )
        return factory

    return register


def first_sentence(found: Function) -> str:
    """What the function does, in one line."""
    return " ".join(found.doc.split("\n\n")[0].split())
