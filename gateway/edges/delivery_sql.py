"""The statements of the delivery ledger; every batch is one ``unnest``, every final state is written once."""

from typing import Final

ADD_OWNER: Final = "INSERT INTO slot_owner (target, slot) VALUES (%s, %s) ON CONFLICT DO NOTHING"
WAIT_BRIEFLY: Final = "SET LOCAL lock_timeout = '500ms'"
RAISE_EPOCH: Final = """
UPDATE slot_owner SET epoch = epoch + 1, owner = %s, alarm = '', alarm_since = NULL WHERE target = %s AND slot = %s
RETURNING epoch, send_horizon, greatest(extract(epoch FROM lease_until - now()), 0)::float8
"""
RENEW: Final = """
UPDATE slot_owner SET lease_until = now() + make_interval(secs => %s)
WHERE target = %s AND slot = %s AND epoch = %s RETURNING 1
"""
HAND_BACK: Final = "UPDATE slot_owner SET lease_until = now() WHERE target = %s AND slot = %s AND epoch = %s"
FENCE: Final = "SELECT epoch FROM slot_owner WHERE target = %s AND slot = %s FOR SHARE"
RAISE_HORIZON: Final = """
UPDATE slot_owner SET send_horizon = greatest(send_horizon, %s) WHERE target = %s AND slot = %s AND epoch = %s
RETURNING 1
"""

KNOWN: Final = """
SELECT d.record_id, d.version, d.state, d.op, d.maybe_sent, d.revoked_for IS NOT NULL
FROM (SELECT DISTINCT * FROM unnest(%s::smallint[], %s::uuid[])) AS asked (school_year, record_id)
JOIN deliveries d ON d.school_year = asked.school_year AND d.target = %s AND d.record_id = asked.record_id
WHERE d.state = ANY (%s)
"""

CLOSE_SETTLED: Final = """
UPDATE parked p SET state = 'closed', end_state = d.state, closed_at = now()
FROM deliveries d
WHERE p.stage = 'delivery' AND p.target = %s AND p.slot = %s AND p.state = 'parked'
  AND d.school_year = p.school_year AND d.target = p.target AND d.record_id = p.record_id
  AND d.version = p.version AND d.state = ANY (%s)
"""
PARKED_LANES: Final = """
SELECT lane, bool_or(sent IN ('released', 'again') AND code <> 'GW-02') OR bool_and(code = 'GW-03')
FROM parked WHERE stage = 'delivery' AND target = %s AND slot = %s AND state = 'parked' GROUP BY lane
"""
LANE_ROWS: Final = """
SELECT topic_offset, record_id, event_id, version, op, content_hash, vendor, school_year,
       code, target_code, seq, sent, receipt
FROM parked WHERE stage = 'delivery' AND target = %s AND slot = %s AND lane = %s AND state = 'parked'
ORDER BY topic_offset
"""
PARKED_SEQ: Final = """
SELECT topic_offset, seq FROM parked
WHERE stage = 'delivery' AND target = %s AND slot = %s AND state = 'parked' AND topic_offset = ANY (%s)
"""
OPEN_PACKETS: Final = """
SELECT packet, purpose, step, members, bytes_sha256, extract(epoch FROM now() - created_at)::float8 FROM packets
WHERE target = %s AND slot = %s AND step <> 'settled' ORDER BY created_at, packet
"""

SETTLE: Final = """
INSERT INTO deliveries AS known (
    target, slot, epoch, school_year, record_id, version, lane, topic_offset, event_id, vendor, content_hash, op,
    state, packet, maybe_sent, attempts, seq, reply)
SELECT %s, %s, %s, * FROM unnest(
    %s::smallint[], %s::uuid[], %s::int[], %s::bigint[], %s::bigint[], %s::uuid[], %s::text[], %s::bytea[], %s::text[],
    %s::text[], %s::uuid[], %s::boolean[], %s::smallint[], %s::int[], %s::text[])
ON CONFLICT (school_year, target, record_id, version) DO UPDATE SET
    state = excluded.state, op = excluded.op, packet = excluded.packet, maybe_sent = excluded.maybe_sent,
    attempts = excluded.attempts, seq = excluded.seq, epoch = excluded.epoch, reply = excluded.reply,
    settled_at = now()
WHERE known.state <> ALL (%s)
"""
CLOSE_ROWS: Final = """
UPDATE parked p SET state = 'closed', end_state = ended.state, closed_at = now(), seq = ended.seq
FROM unnest(%s::bigint[], %s::text[], %s::int[]) AS ended (topic_offset, state, seq)
WHERE p.stage = 'delivery' AND p.target = %s AND p.slot = %s AND p.topic_offset = ended.topic_offset
"""
PARK: Final = """
INSERT INTO parked AS row (
    stage, target, slot, state, topic_offset, lane, record_id, event_id, vendor, school_year, version, content_hash,
    op, code, owner, target_code, sent, seq, attempts, receipt)
SELECT 'delivery', %s, %s, 'parked', * FROM unnest(
    %s::bigint[], %s::bigint[], %s::uuid[], %s::uuid[], %s::text[], %s::smallint[], %s::int[], %s::bytea[], %s::text[],
    %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::smallint[], %s::bytea[])
ON CONFLICT (stage, target, slot, topic_offset) DO UPDATE SET
    code = excluded.code, owner = excluded.owner, target_code = excluded.target_code, sent = excluded.sent,
    seq = excluded.seq, attempts = excluded.attempts, receipt = excluded.receipt, parked_at = now()
WHERE row.state <> 'closed'
"""
REVOKE: Final = """
UPDATE deliveries d SET revoked_for = gone.by_version, revoked_at = now()
FROM unnest(%s::smallint[], %s::uuid[], %s::int[], %s::int[]) AS gone (school_year, record_id, version, by_version)
WHERE d.school_year = gone.school_year AND d.target = %s AND d.record_id = gone.record_id
  AND d.version = gone.version AND d.revoked_for IS NULL
"""
TRIED: Final = """
INSERT INTO attempts (target, epoch, school_year, record_id, version, n, outcome)
SELECT DISTINCT ON (school_year, record_id, version, n) %s, %s, school_year, record_id, version, n, outcome
FROM unnest(%s::smallint[], %s::uuid[], %s::int[], %s::smallint[], %s::text[])
    WITH ORDINALITY AS tried (school_year, record_id, version, n, outcome, place)
ORDER BY school_year, record_id, version, n, place DESC
ON CONFLICT (school_year, target, record_id, version, n)
DO UPDATE SET outcome = excluded.outcome, at = now(), epoch = excluded.epoch
"""
ALARM: Final = """
UPDATE slot_owner SET alarm = %s, alarm_since = now() WHERE target = %s AND slot = %s AND epoch = %s AND alarm <> %s
"""
HELD: Final = """
UPDATE slot_owner SET alarm = %s, alarm_since = now()
WHERE target = %s AND slot = %s AND epoch = %s AND alarm <> ALL (%s)
"""
ARM: Final = """
UPDATE parked p SET sent = armed.sent
FROM unnest(%s::bigint[], %s::text[]) AS armed (topic_offset, sent)
WHERE p.stage = 'delivery' AND p.target = %s AND p.slot = %s AND p.topic_offset = armed.topic_offset
  AND p.state = 'parked'
"""
ADD_OUTBOX: Final = """
INSERT INTO outbox (target, slot, vendor, event_id, payload)
SELECT %s, %s, * FROM unnest(%s::text[], %s::uuid[], %s::bytea[])
"""
UNPUBLISHED: Final = """
SELECT id, vendor, event_id::text, payload FROM outbox
WHERE target = %s AND slot = %s AND NOT published ORDER BY id LIMIT %s
"""
PUBLISHED: Final = """
UPDATE outbox SET published = true WHERE target = %s AND slot = %s AND NOT published AND id <= %s
"""

OPEN_ORDERS: Final = """
SELECT id, lane, topic_offset, action FROM orders
WHERE stage = 'delivery' AND target = %s AND slot = %s AND state = 'open' AND id <> ALL (%s) ORDER BY id LIMIT 1000
"""
CLOSE_ORDERS: Final = """
UPDATE orders o SET state = CASE WHEN ended.done THEN 'done' ELSE 'void' END, outcome = ended.outcome, done_at = now()
FROM unnest(%s::bigint[], %s::boolean[], %s::text[]) AS ended (id, done, outcome) WHERE o.id = ended.id
"""

ADD_PACKET: Final = """
INSERT INTO packets (packet, target, slot, purpose, step, members, bytes_sha256, epoch)
VALUES (%s, %s, %s, %s, 'built', %s, %s, %s) ON CONFLICT DO NOTHING
"""
MARK_PACKET: Final = """
UPDATE packets SET step = %s, members = coalesce(%s, members), step_at = now() WHERE packet = %s AND step <> 'settled'
"""
