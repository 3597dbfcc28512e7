"""Mutual TLS: the contract names keys of the credentials file, whose values are paths of PEM files."""

import ssl
from collections.abc import Mapping

from gateway.config import ConfigFaults, Fault
from gateway.edges.exchange import Tls
from gateway.edges.target_contract import Contract


def tls_of(contract: Contract, credentials: Mapping[str, str]) -> Tls:
    """The files of a target that wants our certificate or has an authority of its own.

    Raises ConfigFaults for files that cannot be used; their content is never quoted.
    """
    tls = contract.tls
    paths = Tls(*(credentials[key] if key else "" for key in (tls.ca, tls.certificate, tls.private_key)))
    faults: list[Fault] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if paths.ca:
        _authority(contract.name, paths, context, faults)
    if paths.certificate:
        _identity(contract.name, paths, context, faults)
    if faults:
        raise ConfigFaults(faults)
    return paths


def _authority(name: str, paths: Tls, context: ssl.SSLContext, faults: list[Fault]) -> None:
    try:
        context.load_verify_locations(paths.ca)
    except (OSError, ssl.SSLError) as error:
        faults.append(_fault(name, "tls.ca", paths.ca, error))


def _identity(name: str, paths: Tls, context: ssl.SSLContext, faults: list[Fault]) -> None:
    try:
        context.load_cert_chain(paths.certificate, paths.private_key, password=_no_password)
    except (OSError, ssl.SSLError) as error:
        faults.append(_fault(name, "tls.certificate", f"{paths.certificate} with {paths.private_key}", error))


def _no_password() -> bytes:
    """A worker has no terminal to ask at: a key with a password is a fault, not a question."""
    return b""


def _fault(name: str, where: str, path: str, error: Exception) -> Fault:
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__
    return Fault(f"targets/{name}.yaml", 0, where, f"{path} cannot be used: {why}")
