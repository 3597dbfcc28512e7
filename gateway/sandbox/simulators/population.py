"""The population platform: takes batches of records and answers each of them at once.

``POST /api/v1/records:batch`` with ``{"records": [payload + khoa_giao_dich]}`` answers
``{"results": [{id_ban_ghi, phien_ban, result, code, text}]}`` in any order.  ``POST /api/v1/records:query`` with
``{"ids": [...]}`` answers which version it holds of those it knows.

The rule (facts §5): a version is applied only if it is larger than the largest held; a key that was taken before is a
duplicate. `options.dedupe` takes one or both of these away, to see what a gateway relies on.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from gateway.sandbox.simulators.book import Arrival, Page, content_hash
from gateway.sandbox.simulators.faults import TEXTS
from gateway.sandbox.simulators.serving import Setting, application, body_of, guarded, json_answer, problem

CREDENTIALS = ("token",)
MAX_RECORDS = 500
_EVENTS = {"NEW": "NEW", "UPdate": "UPDATE", "CANCEL": "CANCEL"}
_EVENT_WORDS = (b'"sukien":"NEW"', b'"sukien":"UPdate"')


class _Batch(msgspec.Struct):
    records: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    idbanghi: str
    sukien: str
    phienban: int
    khoa_giao_dich: str


def population_app(setting: Setting) -> ASGIApp:
    """The platform as an application."""
    decoder, envelopes = msgspec.json.Decoder(_Batch), msgspec.json.Decoder(_Envelope)
    most = setting.options.max_records or MAX_RECORDS

    async def batch(request: Request) -> Response:
        body = await body_of(request, setting.options.max_bytes)
        if body is None:
            return problem(413, "ERR_TOO_LARGE")
        try:
            records = decoder.decode(body).records
            arrivals = [_arrival(record, envelopes) for record in records]
        except (msgspec.MsgspecError, KeyError):
            return problem(400, "ERR_MALFORMED")
        if len(records) > most:
            return problem(413, "ERR_TOO_MANY")
        return json_answer({"results": _take(setting, arrivals)})

    async def query(request: Request) -> Response:
        body = await body_of(request, setting.options.max_bytes)
        try:
            ids = msgspec.json.decode(body or b"", type=dict[str, list[str]])["ids"]
        except (msgspec.MsgspecError, KeyError):
            return problem(400, "ERR_MALFORMED")
        held = setting.book.versions(ids)
        return json_answer({"results": [{"id_ban_ghi": name, "phien_ban": version} for name, version in held]})

    return application(
        setting,
        [
            Route("/api/v1/records:batch", guarded(setting.credentials["token"], batch), methods=["POST"]),
            Route("/api/v1/records:query", guarded(setting.credentials["token"], query), methods=["POST"]),
        ],
    )


def _arrival(record: msgspec.Raw, decoder: msgspec.json.Decoder[_Envelope]) -> Arrival:
    envelope, content = decoder.decode(record), bytes(record)
    digest = content_hash(content, envelope.khoa_giao_dich.encode(), *_EVENT_WORDS)
    op = _EVENTS[envelope.sukien]
    return Arrival(envelope.idbanghi, envelope.phienban, op, digest, envelope.khoa_giao_dich)


def _take(setting: Setting, arrivals: list[Arrival]) -> list[dict[str, object]]:
    faults = setting.faults
    results: list[dict[str, object]] = []
    with setting.book.page([a.record_id for a in arrivals], [a.key for a in arrivals]) as page:
        for arrival in arrivals:
            result, code = _judge(setting, page, arrival)
            page.answer(arrival, result, code)
            results.append(
                {
                    "id_ban_ghi": arrival.record_id,
                    "phien_ban": arrival.version,
                    "result": result,
                    "code": code,
                    "text": TEXTS.get(code, ""),
                }
            )
    faults.count(page.effects)
    answered = [result for result in results if not faults.forgets()]
    faults.shuffle(answered)
    return answered


def _judge(setting: Setting, page: Page, arrival: Arrival) -> tuple[str, str]:
    dedupe = setting.options.dedupe
    if dedupe in {"both", "key"} and page.took(arrival.key):
        return "DUPLICATE", ""
    held = page.held(arrival.record_id)
    if dedupe in {"both", "version"} and arrival.version <= held.version:
        return "STALE", "MAU-L06" if arrival.version == held.version else "MAU-L04"
    if code := setting.faults.refusal(arrival.record_id, arrival.version):
        return "REFUSED", code
    if setting.faults.retries():
        return "RETRY", ""
    if arrival.op == "NEW" and held.in_force:
        page.count("new_on_existing")
    elif arrival.op != "NEW" and held.version == 0:
        page.count("update_on_unknown" if arrival.op == "UPDATE" else "cancel_on_unknown")
    page.apply(arrival)
    return "ACCEPTED", ""
