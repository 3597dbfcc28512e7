"""The text of a named test: what `path::name` says, decorators included."""

import ast
from functools import cache

from tests.unit.intake.loaded import ROOT


@cache
def texts_in(path: str) -> dict[str, str]:
    """Name → text of every test function of a file below the repository; empty when there is no such file."""
    file = ROOT / path
    if not file.is_file():
        return {}
    text = file.read_text(encoding="utf-8")
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            start = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            found[node.name] = "\n".join(lines[start - 1 : node.end_lineno])
    return found


def text_of(test: str) -> str:
    """The text of *test*, ``path::name``; empty when it does not exist."""
    path, _, name = test.partition("::")
    return texts_in(path).get(name, "")
