"""Structured logs on standard error: one JSON object a line, with record ids and tokens only, never a value.

Library logs (aiokafka, psycopg, Faust) go through the same pipe.  Their exception texts may repeat values, so an
exception is logged as its type and position in our code, never with its message.
"""

import logging
import sys
import threading
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

QUIET_S: Final = 10.0


def _strip_exception(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)[-4:]
        event["error"] = type(error).__qualname__
        event["at"] = [f"{frame.filename.rsplit('/', 2)[-1]}:{frame.lineno}" for frame in frames]
    return event


class _FirstLineOnly(logging.Filter):
    """asyncio writes an exception's text, which may repeat a value, behind the first line of its message."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name == "asyncio":
            record.msg, record.args = record.getMessage().partition("\n")[0], ()
        return True


def _thread_ended(arguments: threading.ExceptHookArgs) -> None:
    logging.getLogger("threading").error("a thread ended by an exception", exc_info=arguments.exc_value)


class _QuietTransactionWarning(logging.Filter):
    """Kafka 4 answers a transaction's first write with a retriable error while it verifies it (KAFKA-15459)."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "NotEnoughReplicas" not in record.getMessage() and "NOT_ENOUGH_REPLICAS" not in record.getMessage()


class _OncePerOutage(logging.Filter):
    """aiokafka says the same at each try, some fifty times a second while a broker is away: one line in ten seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        if not record.name.startswith("aiokafka"):
            return True
        known = str(record.msg)
        if record.created - self._said.get(known, -QUIET_S) < QUIET_S:
            return False
        self._said[known] = record.created
        return True


def configure_logs(worker: str, level: int = logging.INFO) -> None:
    """Send all logs of this process, ours and libraries', to standard error as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _strip_exception,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_QuietTransactionWarning())
    handler.addFilter(_FirstLineOnly())
    handler.addFilter(_OncePerOutage())
    threading.excepthook = _thread_ended
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("aiokafka", "httpx", "httpcore", "faust", "mode", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(worker=worker)


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for *name*; pass ids, positions and counts as keywords."""
    bound: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound
