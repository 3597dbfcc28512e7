"""The bench's signed records are well signed, and required to be."""

from pathlib import Path

from gateway.edges.connector_files import load_connectors
from gateway.edges.signature_files import load_trust
from gateway.intake.documents import findings
from gateway.intake.documents_trust import TrustBook
from gateway.intake.dry_run import dry_run
from gateway.sandbox.bench_signed import require_signatures, signed_records, verified_per_core_second
from gateway.sandbox.demo_setup import Layout
from tests.fakes.signers import RECEIVED

RECEIVED_MS = int(RECEIVED.timestamp() * 1000)


def test_the_records_of_the_bench_carry_fifteen_good_signatures(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.config.write_text("slots: 1\n")
    records = signed_records(2, require_signatures(layout))
    connector = load_connectors(tmp_path / "connectors")["hocba_xml_thcs"]
    trust = TrustBook(load_trust(tmp_path / "trust").store())
    results = [result for record in records for result in dry_run(connector, "a", record, RECEIVED_MS, trust)]

    assert connector.signed_by is not None
    assert [record.count(b"<SignatureValue") for record in records] == [15, 15]
    assert [result["outcome"] for result in results] == ["accepted", "accepted"]
    assert len({result["record"]["record_id"] for result in results}) == 2
    assert findings(records[0].replace(b"8.3", b"9.3", 1), connector.signed_by, trust, RECEIVED)
    assert verified_per_core_second(layout, records) > 0
