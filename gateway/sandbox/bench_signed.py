"""The bench's signed records: full secondary học bạ XML, 15 signatures each, from a synthetic authority of the run.

The stand gets a trust store and a copy of the connectors in which the secondary XML requires its signatures, so that
every record is verified before it is mapped.  The records are the connector's clean case under other pupils' codes.
"""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import yaml

from gateway.edges.clock import now
from gateway.edges.connector_files import load_connectors
from gateway.edges.signature_files import load_trust
from gateway.errors import GatewayError
from gateway.intake.documents import findings
from gateway.intake.documents_layout import Role
from gateway.intake.documents_trust import TrustBook
from gateway.sandbox.bench import usage
from gateway.sandbox.demo_setup import PROJECT_ROOT, Layout
from gateway.sandbox.signing import Signer, authority, new_key, person, sign_record

NAME: Final = "signed-xml"
VENDOR: Final = "hocba-xml-thcs"
SHARE: Final = 10
"""One signed record for so many of the other variants, because making 15 signatures takes ten times their check."""
_CONNECTOR: Final = "hocba_xml_thcs"
_CASE: Final = "cases/03-clean-lower-secondary.input.xml"
_ALONE_S: Final = 2.0
_COMMENT: Final = "Nắm chắc kiến thức, cần mạnh dạn phát biểu hơn; có tiến bộ rõ trong học kỳ 2."


def signed_records(count: int, signers: dict[Role, Signer]) -> list[bytes]:
    """*count* records of different pupils, each signed by all roles."""
    text = (PROJECT_ROOT / "connectors" / _CONNECTOR / _CASE).read_text(encoding="utf-8")
    text = text.replace("<GVBM>", f"<NHAN_XET>{_COMMENT}</NHAN_XET><GVBM>")
    return [sign_record(_renamed(text, number).encode(), signers) for number in range(count)]


def _renamed(text: str, number: int) -> str:
    for name, value in {
        "MA_DINH_DANH_HOC_BA": f"6f1d6c1e-0000-4000-8000-{number:012d}",
        "MA_HOC_SINH": f"3893{number:06d}",
        "SO_DINH_DANH": f"0382129{number % 100_000:05d}",
    }.items():
        text = re.sub(f"<{name}>[^<]*<", f"<{name}>{value}<", text, count=1)
    return text


def signers_of_a_run(trust: Path) -> dict[Role, Signer]:
    """Fresh signers of all roles; their authority's certificate is put into the folder *trust*."""
    root = authority("Mẫu Gốc")
    trust.mkdir()
    (trust / "root.pem").write_bytes(root.pem)
    issuer, key = authority("Mẫu Trung Gian", root), new_key()
    return {role: person(f"Mẫu {role}", issuer, key=key) for role in Role}


def require_signatures(layout: Layout) -> dict[Role, Signer]:
    """Make the installation of *layout* require signatures of the secondary XML; whoever may sign there."""
    trust, connectors = layout.folder / "trust", layout.folder / "connectors"
    signers = signers_of_a_run(trust)
    shutil.copytree(PROJECT_ROOT / "connectors", connectors)
    profile = connectors / _CONNECTOR / "connector.yaml"
    text = re.sub(r"(?m)^signatures: .*$", "signatures: require", profile.read_text(encoding="utf-8"))
    profile.write_text(text, encoding="utf-8")
    content = yaml.safe_load(layout.config.read_text(encoding="utf-8"))
    content |= {"connectors": {"path": str(connectors)}, "documents": {"trust": str(trust), "workers": 1}}
    layout.config.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return signers


def verified_per_core_second(layout: Layout, records: Sequence[bytes]) -> float:
    """How many of *records* this process verifies in a second of its CPU; raises GatewayError if one is not good."""
    policy = load_connectors(layout.folder / "connectors", [_CONNECTOR])[_CONNECTOR].signed_by
    trust = TrustBook(load_trust(layout.folder / "trust").store())
    if policy is None or any(findings(record, policy, trust, now()) for record in records[:10]):
        message = "the bench's own records are not well signed"
        raise GatewayError(message)
    before, handled = usage([os.getpid()]), 0
    while (used := usage([os.getpid()]).since(before).cpu_s) < _ALONE_S:
        for record in records[:50]:
            findings(record, policy, trust, now())
            handled += 1
    return round(handled / used, 1)
