"""Mutual TLS and OAuth2 client credentials, over real sockets."""

import asyncio
import ssl
from pathlib import Path

import msgspec
import pytest

from gateway.config import ConfigFaults
from gateway.edges.target_contract import ClientCredentials, ImmediateContract, NoToken, Tls, load_contract
from gateway.edges.targets import open_immediate
from gateway.outcomes import Accepted, Ambiguous, BatchAnswer, Hold, Send
from gateway.record import Op
from tests.fakes.certificates import Authority, authority
from tests.fakes.raw_server import answer, raw_server
from tests.fakes.simulator import ROOT

SENT = Send("r1", 1, Op.NEW, "k1", b'{"idbanghi":"r1"}')
TAKEN = answer("200 OK", '{"results":[{"id_ban_ghi":"r1","phien_ban":1,"result":"ACCEPTED"}]}')
TOKEN = answer("200 OK", '{"access_token":"T1","expires_in":60}')


def contract(**changes: object) -> ImmediateContract:
    read = load_contract(ROOT / "targets/population.yaml", {})
    assert isinstance(read, ImmediateContract)
    return msgspec.structs.replace(read, **changes)


def tls_server(given: Authority) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(given.ca))
    context.load_cert_chain(*given.give("server"))
    context.verify_mode = ssl.CERT_REQUIRED
    return context


async def ask(url: str, asked: ImmediateContract, credentials: dict[str, str]) -> BatchAnswer:
    target = open_immediate(asked, url, credentials)
    try:
        return await target.send([SENT])
    finally:
        await target.aclose()


async def test_a_target_that_wants_our_certificate_is_shown_it(tmp_path: Path) -> None:
    given = authority(tmp_path)
    certificate, key = given.give("client")
    credentials = {"ca": str(given.ca), "cert": str(certificate), "key": str(key)}
    mutual = contract(auth=NoToken(), tls=Tls(ca="ca", certificate="cert", private_key="key"))
    async with raw_server(TAKEN, tls=tls_server(given)) as server:
        said = await ask(server.url, mutual, credentials)

        assert said.answers == {("r1", 1): Accepted()}
        assert not [line for line in server.heads[0] if line.lower().startswith("authorization")]


async def test_without_our_certificate_nothing_is_taken(tmp_path: Path) -> None:
    given = authority(tmp_path)
    only_ca = contract(auth=NoToken(), tls=Tls(ca="ca"))
    async with raw_server(TAKEN, tls=tls_server(given)) as server:
        said = await ask(server.url, only_ca, {"ca": str(given.ca)})

        assert said.whole in (Hold("tls"), Ambiguous("connection"))
        assert server.asked == []


async def test_an_authority_we_do_not_know_is_a_hold(tmp_path: Path) -> None:
    given = authority(tmp_path)
    async with raw_server(TAKEN, tls=tls_server(given)) as server:
        said = await ask(server.url, contract(), {"token": "t"})

        assert said.whole == Hold("tls")


def test_files_that_cannot_be_used_are_all_told_and_never_quoted(tmp_path: Path) -> None:
    broken = tmp_path / "broken.pem"
    broken.write_text("secret")
    credentials = {"ca": str(broken), "cert": str(tmp_path / "none.pem"), "key": str(broken)}
    mutual = contract(auth=NoToken(), tls=Tls(ca="ca", certificate="cert", private_key="key"))
    with pytest.raises(ConfigFaults) as caught:
        open_immediate(mutual, "https://127.0.0.1:1", credentials)

    assert [fault.path for fault in caught.value.faults] == ["tls.ca", "tls.certificate"]
    assert "secret" not in str(caught.value)


async def test_client_credentials_fetch_one_token_for_all_and_say_their_scope() -> None:
    grant = ClientCredentials(path="/token", client_id="id", client_secret="secret", scope="hocba.write")
    async with raw_server(TOKEN, *[TAKEN] * 4) as server:
        target = open_immediate(contract(auth=grant), server.url, {"id": "me", "secret": "s3"})

        said = await asyncio.gather(*(target.send([SENT]) for _ in range(4)))

        assert [one.answers for one in said] == [{("r1", 1): Accepted()}] * 4
        assert [line.split()[1] for line in server.asked] == ["/token"] + ["/api/v1/records:batch"] * 4
        form = "grant_type=client_credentials&client_id=me&client_secret=s3&scope=hocba.write"
        assert server.bodies[0].decode() == form
        assert "authorization: Bearer T1" in server.heads[1]
        await target.aclose()


async def test_a_token_of_client_credentials_is_renewed_before_it_runs_out() -> None:
    grant = ClientCredentials(path="/token", client_id="id", client_secret="secret")
    now_s = [0.0]
    async with raw_server(TOKEN, TAKEN, TOKEN, TAKEN) as server:
        credentials = {"id": "me", "secret": "s3"}
        target = open_immediate(contract(auth=grant), server.url, credentials, lambda: now_s[0])
        await target.send([SENT])
        now_s[0] = 51.0
        await target.send([SENT])

        assert [line.split()[1] for line in server.asked][2] == "/token"
        await target.aclose()
