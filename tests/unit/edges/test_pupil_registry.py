"""The registry's answers, sorted: what may be asked again as it is, and what has to be asked in smaller parts."""

import uuid

import pytest

from gateway.edges.identity_link import Duty, RefusedLookup
from gateway.edges.pupil_registry import PupilRegistry
from gateway.outcomes import Unavailable
from tests.fakes.raw_server import answer, raw_server

DUTY = Duty("HOCBA-MAU", "mau.canbo", "registry")
CODES = ["0199990001", "0199990002"]


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        ("400 Bad Request", "{}", RefusedLookup("HTTP-400")),
        ("422 Unprocessable Content", "{}", RefusedLookup("HTTP-422")),
        ("200 OK", '{"results": {"0199990001": []}}', RefusedLookup("incomplete")),
        ("200 OK", "<html>", RefusedLookup("unreadable")),
        ("401 Unauthorized", "{}", Unavailable(None, "HTTP-401")),
        ("429 Too Many Requests", "{}", Unavailable(None, "HTTP-429")),
        ("503 Service Unavailable", "{}", Unavailable(None, "HTTP-503")),
        ("200 OK", '{"results": {"0199990001": [], "0199990002": []}}', {code: [] for code in CODES}),
    ],
)
async def test_only_what_says_something_about_the_codes_is_a_refusal(status: str, body: str, expected: object) -> None:
    async with raw_server(answer(status, body)) as server:
        registry = PupilRegistry(server.url, "t", DUTY)
        found = await registry.lookup(CODES, uuid.uuid4())
        await registry.aclose()

    assert found == expected
