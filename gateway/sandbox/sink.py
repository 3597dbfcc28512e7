"""A target that accepts everything at once: for measuring delivery's own cost, never for proving anything.

It speaks the population platform's batch protocol over HTTP/1.1 with keep-alive and keeps no book.  The simulators with
their books and faults cost several times what they are asked by; a bench of delivery would measure them.
"""

import asyncio
import sys
from typing import Final, cast

import msgspec

HEAD_END: Final = b"\r\n\r\n"


class _Record(msgspec.Struct):
    idbanghi: str
    phienban: int


class _Batch(msgspec.Struct):
    records: list[_Record]


_decoder = msgspec.json.Decoder(_Batch)


class _Answers(asyncio.Protocol):
    """One connection: requests are answered in their order."""

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        while (end := self._waiting.find(HEAD_END)) >= 0:
            head = bytes(self._waiting[:end]).lower()
            _, _, rest = head.partition(b"content-length:")
            size = int(rest.split(b"\r\n", 1)[0]) if rest else 0
            start = end + len(HEAD_END)
            if len(self._waiting) < start + size:
                return
            body = bytes(self._waiting[start : start + size])
            del self._waiting[: start + size]
            self._transport.write(_answer(body))


def _answer(body: bytes) -> bytes:
    rows = [
        {"id_ban_ghi": record.idbanghi, "phien_ban": record.phienban, "result": "ACCEPTED"}
        for record in _decoder.decode(body).records
    ]
    content = msgspec.json.encode({"results": rows})
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(content)
    return head + content


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Answers, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201  how the starter learns the address
    await loop.run_in_executor(None, sys.stdin.read)  # until the starter's end of the pipe closes
    server.close()


if __name__ == "__main__":
    asyncio.run(_serve())
