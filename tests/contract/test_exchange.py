"""What is known after a request, for every way in which it may end: asked of both exchanges, against real servers."""

import asyncio
import datetime
import gzip
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.edges.exchange import Answered, Exchange, Lost, NotSent, Reply, Tls, Way, stays, way
from gateway.edges.exchange_fast import FastExchange
from gateway.edges.exchange_httpx import HttpxExchange
from tests.fakes.certificates import authority
from tests.fakes.raw_server import answer, raw_server
from tests.fakes.wire_servers import deaf_server, echo, full_server, plain_greeting, tls_server, trickling

Open = Callable[[Way], Exchange]
KINDS: dict[str, Open] = {"httpx": HttpxExchange, "fast": FastExchange}
Ask = Callable[..., Awaitable[Reply]]
LONG_AGO = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture(params=list(KINDS))
def open_exchange(request: pytest.FixtureRequest) -> Open:
    return KINDS[request.param]


@pytest.fixture
def ask(open_exchange: Open) -> Ask:
    """One request of an exchange made for it."""

    async def once(url: str | Way, path: str = "/", *, most: int = 1000, **parts: object) -> Reply:
        exchange = open_exchange(url if isinstance(url, Way) else way(url, 2.0, 1, most))
        try:
            return await exchange.ask("POST" if parts else "GET", path, **parts)
        finally:
            await exchange.aclose()

    return once


# --- nothing left this machine ----------------------------------------------------------------------------------------


async def test_nobody_listening_means_not_sent(ask: Ask) -> None:
    assert await ask("http://127.0.0.1:1") == NotSent("outage")


async def test_a_name_that_does_not_resolve_means_not_sent(ask: Ask) -> None:
    assert await ask(way("http://mau.invalid", 5.0, 1, 1000)) == NotSent("dns")


async def test_a_server_that_speaks_no_tls_means_not_sent(ask: Ask) -> None:
    async with plain_greeting() as url:
        assert await ask(url.replace("http:", "https:")) == NotSent("tls")


async def test_a_server_that_takes_no_connection_means_not_sent(ask: Ask) -> None:
    with full_server() as url:
        assert await ask(replace(way(url, 5.0, 1, 1000), connect_s=0.2)) == NotSent("outage")


@pytest.mark.parametrize("path", ["http://127.0.0.1:1/x", "//127.0.0.1:1/x", "/\\127.0.0.1:1/x", "@127.0.0.1:1/x", ""])
async def test_a_path_that_names_another_host_is_not_sent(ask: Ask, path: str) -> None:
    async with raw_server(answer("200 OK")) as server:
        assert not stays(path)
        assert await ask(server.url, path) == NotSent("contract")
        assert server.asked == []


# --- TLS --------------------------------------------------------------------------------------------------------------


async def test_a_certificate_of_an_unknown_authority_means_not_sent(ask: Ask, tmp_path: Path) -> None:
    async with tls_server(authority(tmp_path).give("server")) as url:
        assert await ask(url) == NotSent("tls")


async def test_a_certificate_of_another_host_means_not_sent(ask: Ask, tmp_path: Path) -> None:
    own = authority(tmp_path)
    async with tls_server(own.give("server", "127.0.0.2")) as url:
        assert await ask(replace(way(url, 2.0, 1, 1000), tls=Tls(str(own.ca)))) == NotSent("tls")


async def test_a_certificate_that_ran_out_means_not_sent(ask: Ask, tmp_path: Path) -> None:
    own = authority(tmp_path)
    async with tls_server(own.give("server", until=LONG_AGO)) as url:
        assert await ask(replace(way(url, 2.0, 1, 1000), tls=Tls(str(own.ca)))) == NotSent("tls")


async def test_a_neighbour_with_an_authority_of_its_own_is_trusted(ask: Ask, tmp_path: Path) -> None:
    own = authority(tmp_path)
    async with tls_server(own.give("server")) as url:
        assert await ask(replace(way(url, 2.0, 1, 1000), tls=Tls(str(own.ca)))) == Answered(200, {}, b"ok")


async def test_a_server_that_wants_our_certificate_gets_it(ask: Ask, tmp_path: Path) -> None:
    own = authority(tmp_path)
    certificate, key = map(str, own.give("client"))
    async with tls_server(own.give("server"), clients=own.ca) as url:
        stranger = await ask(replace(way(url, 2.0, 1, 1000), tls=Tls(str(own.ca))))
        reply = await ask(replace(way(url, 2.0, 1, 1000), tls=Tls(str(own.ca), certificate, key)))

        assert not isinstance(stranger, Answered)
        assert reply == Answered(200, {}, b"ok")


# --- the request left, and then ---------------------------------------------------------------------------------------


async def test_a_connection_closed_without_an_answer_is_lost(ask: Ask) -> None:
    async with raw_server() as server:
        assert await ask(server.url) == Lost("connection")


async def test_an_answer_that_is_not_http_is_lost(ask: Ask) -> None:
    async with raw_server(b"220 mail ready\r\n\r\n") as server:
        assert await ask(server.url) == Lost("connection")


async def test_an_answer_cut_in_the_middle_is_lost(ask: Ask) -> None:
    async with raw_server(answer("200 OK", "x" * 100)[:-50]) as server:
        assert await ask(server.url) == Lost("connection")


async def test_an_answer_that_does_not_begin_in_time_is_lost(ask: Ask) -> None:
    async with raw_server(answer("200 OK"), pause_s=5) as server:
        assert await ask(replace(way(server.url, 5.0, 1, 1000), read_s=0.1)) == Lost("timeout")


async def test_an_answer_that_stops_in_the_middle_is_lost(ask: Ask) -> None:
    async with trickling(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc", [], every_s=0) as url:
        assert await ask(replace(way(url, 5.0, 1, 1000), read_s=0.2)) == Lost("timeout")


async def test_headers_that_trickle_end_with_the_total_time(ask: Ask) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-a: "
    async with trickling(head, [b"a"] * 99, every_s=0.05) as url:
        assert await ask(replace(way(url, 5.0, 1, 1000), total_s=0.4)) == Lost("timeout")


async def test_a_body_that_trickles_ends_with_the_total_time(ask: Ask) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"
    async with trickling(head, [b"a"] * 99, every_s=0.05) as url:
        assert await ask(replace(way(url, 5.0, 1, 1000), total_s=0.4)) == Lost("timeout")


async def test_a_request_that_is_not_taken_in_is_lost(ask: Ask) -> None:
    with deaf_server() as url:
        reply = await ask(replace(way(url, 9.0, 1, 1000), write_s=0.3), content=b"x" * 30_000_000)

        assert isinstance(reply, Lost)


async def test_an_answer_above_the_limit_is_lost_and_not_read_to_its_end(ask: Ask) -> None:
    async with raw_server(answer("200 OK", "x" * 5000)) as server:
        assert await ask(server.url) == Lost("size")


async def test_an_answer_of_unknown_length_is_bounded_too(ask: Ask) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    async with trickling(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", [chunk] * 99, every_s=0) as url:
        assert await ask(url) == Lost("size")


async def test_the_limit_is_that_of_an_answer_unpacked(ask: Ask) -> None:
    bomb = gzip.compress(b"x" * 1_000_000)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    async with raw_server(head + bomb) as server:
        assert await ask(server.url) == Lost("size")


# --- answers ----------------------------------------------------------------------------------------------------------


async def test_an_answer_carries_the_headers_that_are_read_and_no_others(ask: Ask) -> None:
    headers = ("Retry-After: 7", "Date: Wed, 27 May 2026 09:20:00 GMT", "X-Note: Nguyen Mau An", "set-cookie: a=b")
    async with raw_server(answer("503 Busy", "later", *headers)) as server:
        assert await ask(server.url) == Answered(
            503, {"retry-after": "7", "date": "Wed, 27 May 2026 09:20:00 GMT"}, b"later"
        )


async def test_a_redirect_is_an_answer_and_is_not_followed(ask: Ask) -> None:
    async with raw_server(answer("302 Found", "", "location: http://elsewhere.invalid/")) as server:
        assert await ask(server.url) == Answered(302, {}, b"")


async def test_an_answer_packed_without_being_asked_is_unpacked(ask: Ask) -> None:
    packed = gzip.compress(b"hello")
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed)
    async with raw_server(head + packed) as server:
        assert await ask(server.url) == Answered(200, {}, b"hello")


async def test_damage_in_a_packed_answer_is_lost(ask: Ask) -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 9\r\n\r\n"
    async with raw_server(head + b"not gzip!") as server:
        assert isinstance(await ask(server.url), Lost)


async def test_what_is_sent_arrives_as_it_is_behind_the_prefix_of_the_address(ask: Ask) -> None:
    async with echo() as url:
        reply = await ask(url + "/gate", "/a?b=c", content=b"\x00\xff", headers={"x-ours": "1"})

        assert isinstance(reply, Answered)
        head, _, body = reply.body.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        assert lines[0] == b"post /gate/a?b=c http/1.1"
        assert b"x-ours: 1" in lines
        assert b"accept-encoding: identity" in lines
        assert body == b"\x00\xff"


async def test_connections_are_kept_and_not_more_than_allowed(open_exchange: Open) -> None:
    async with echo() as url:
        exchange = open_exchange(way(url, 5.0, 2, 1000))
        replies: list[Reply] = []
        for _ in range(3):
            replies = await asyncio.gather(*(exchange.ask("POST", "/", content=b"x") for _ in range(6)))

            assert all(isinstance(reply, Answered) for reply in replies)
        peers = {
            reply.body.rpartition(b"x-peer: ")[2].split(b"\r\n")[0] for reply in replies if isinstance(reply, Answered)
        }
        await exchange.aclose()

        assert 1 <= len(peers) <= 2


# --- cancelled requests -----------------------------------------------------------------------------------------------


async def test_requests_cancelled_at_any_moment_leave_room_for_others(open_exchange: Open) -> None:
    """A bounded pool of httpcore stands still after as many requests cancelled before their connection opened."""
    async with echo() as url:
        exchange = open_exchange(way(url, 5.0, 2, 1000))
        for turns in range(150):
            asking = [asyncio.create_task(exchange.ask("GET", "/")) for _ in range(5)]
            for _ in range(turns % 30):
                await asyncio.sleep(0)
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

        reply = await exchange.ask("GET", "/")
        await exchange.aclose()

    assert isinstance(reply, Answered)
