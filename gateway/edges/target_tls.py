"""Mutual TLS: the contract names keys of the credentials file, whose values are paths of PEM files."""

import ssl
from collections.abc import Mapping

from gateway.config import ConfigFaults, Fault
from gateway.edges.target_contract import Contract


def tls_of(contract: Contract, credentials: Mapping[str, str]) -> ssl.SSLContext | None:
    """The context of a target that wants our certificate or has an authority of its own; None: the system's.

    Raises ConfigFaults for files that cannot be used; their content is never quoted.
    """
    tls = contract.tls
    if not (tls.ca or tls.certificate):
        return None
    faults: list[Fault] = []
    context = ssl.create_default_context()
    if tls.ca:
        context = _authority(contract.name, credentials[tls.ca], faults) or context
    if tls.certificate:
        _identity(contract, credentials, context, faults)
    if faults:
        raise ConfigFaults(faults)
    return context


def _authority(name: str, path: str, faults: list[Fault]) -> ssl.SSLContext | None:
    try:
        return ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        faults.append(_fault(name, "tls.ca", path, error))
        return None


def _identity(contract: Contract, credentials: Mapping[str, str], context: ssl.SSLContext, faults: list[Fault]) -> None:
    certificate, key = credentials[contract.tls.certificate], credentials[contract.tls.private_key]
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        faults.append(_fault(contract.name, "tls.certificate", f"{certificate} with {key}", error))


def _no_password() -> bytes:
    """A worker has no terminal to ask at: a key with a password is a fault, not a question."""
    return b""


def _fault(name: str, where: str, path: str, error: Exception) -> Fault:
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return Fault(f"targets/{name}.yaml", 0, where, f"{path} cannot be used: {why}")
