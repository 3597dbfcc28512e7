-- The ledger: what the gateway remembers beside Kafka.  One writer a row (design section 3):
-- identity: heads, watermarks, its own parked rows, verdicts; delivery: deliveries, packets, its own parked rows, outbox,
-- slot_owner; the tower: event_states, tallies, rejections; people: orders, handovers.
-- Lanes are signed bigint pseudonyms; bodies and citizen IDs are sealed (AES-GCM) before they come here.
-- depends:

CREATE TABLE heads (
    record_id      uuid PRIMARY KEY,
    slot           smallint NOT NULL,
    lane           bigint NOT NULL,
    vendor         text NOT NULL,
    school_code    text NOT NULL,
    version        int NOT NULL,
    epoch          int NOT NULL,
    source_order   bigint NOT NULL,
    content_hash   bytea NOT NULL,
    op             text NOT NULL,
    event_id       uuid NOT NULL,
    topic_offset   bigint NOT NULL
) WITH (fillfactor = 80);
COMMENT ON TABLE heads IS 'Projection of national.records: the highest version of each record and who claims it.';

CREATE TABLE watermarks (
    topic          text NOT NULL,
    slot           smallint NOT NULL,
    next_offset    bigint NOT NULL,
    PRIMARY KEY (topic, slot)
);
COMMENT ON TABLE watermarks IS 'How far a projection has read its topic; moves with the projected rows in one transaction.';

CREATE TABLE handovers (
    record_id      uuid NOT NULL,
    vendor         text NOT NULL,
    school_code    text NOT NULL,
    reason         text NOT NULL,
    recorded_by    text NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (record_id, vendor, school_code)
);
COMMENT ON TABLE handovers IS 'A transfer or hand-over that allows another vendor or school to speak for a record.';

CREATE TABLE verdicts (
    lane           bigint NOT NULL,
    claim_hash     bytea NOT NULL,
    verdict        text NOT NULL,
    field          text NOT NULL DEFAULT '',
    citizen_id     bytea,
    key_id         text,
    checked_at     timestamptz NOT NULL,
    expires_at     timestamptz NOT NULL,
    PRIMARY KEY (lane, claim_hash)
);
COMMENT ON TABLE verdicts IS 'Answer of the registry for one claim of one pupil; a corrected name is another claim and asks again.';

CREATE TABLE lookups (
    asked_at       timestamptz NOT NULL DEFAULT now(),
    request_id     uuid NOT NULL,
    purpose        text NOT NULL,
    lane           bigint NOT NULL,
    verdict        text NOT NULL
) PARTITION BY RANGE (asked_at);
COMMENT ON TABLE lookups IS 'Audit: every look-up of a pupil, with purpose and verdict, no personal data.';

CREATE TABLE parked (
    stage          text NOT NULL CHECK (stage IN ('identity', 'delivery')),
    target         text NOT NULL DEFAULT '',
    slot           smallint NOT NULL,
    topic_offset   bigint NOT NULL,
    lane           bigint NOT NULL,
    record_id      uuid NOT NULL,
    event_id       uuid NOT NULL,
    vendor         text NOT NULL,
    school_code    text NOT NULL DEFAULT '',
    school_year    smallint NOT NULL,
    version        int,
    epoch          int,
    source_order   bigint,
    content_hash   bytea NOT NULL,
    op             text NOT NULL,
    claim_hash     bytea,
    place          bigint,
    state          text NOT NULL CHECK (state IN ('parked', 'waiting', 'closed')),
    end_state      text,
    code           text NOT NULL,
    field          text NOT NULL DEFAULT '',
    owner          text NOT NULL,
    target_code    text NOT NULL DEFAULT '',
    sent           text NOT NULL DEFAULT 'no' CHECK (sent IN ('no', 'maybe', 'again')),
    receipt        bytea,
    body           bytea,
    key_id         text,
    seq            int NOT NULL DEFAULT 1,
    attempts       smallint NOT NULL DEFAULT 0,
    parked_at      timestamptz NOT NULL DEFAULT now(),
    closed_at      timestamptz,
    closed_by      bigint,
    PRIMARY KEY (stage, target, slot, topic_offset)
);
CREATE INDEX parked_open_lane ON parked (stage, target, slot, lane) WHERE state <> 'closed';
CREATE INDEX parked_open_code ON parked (code, vendor) WHERE state <> 'closed';
CREATE INDEX parked_event ON parked (event_id);
CREATE INDEX parked_record ON parked (record_id) WHERE state <> 'closed';
COMMENT ON COLUMN parked.place IS 'Order within the lane: the topic_offset, or the place of the older version that this row replaced (identity).';
COMMENT ON COLUMN parked.closed_by IS 'Offset of the newer version that replaced this row; a take-over reopens rows closed by what was never committed (identity).';
COMMENT ON COLUMN parked.sent IS 'Whether the target may have applied it: no (refused), maybe (parked in doubt), again (released, and since then perhaps sent) (delivery).';
COMMENT ON COLUMN parked.receipt IS 'The receipt of the present state; the next one is made from it (delivery).';
COMMENT ON TABLE parked IS 'Records held with a reason; topic_offset is in gateway.mapped (identity) or national.records (delivery) of that slot. A closed row is never reopened by a redelivery.';

CREATE TABLE deliveries (
    school_year    smallint NOT NULL,
    target         text NOT NULL,
    record_id      uuid NOT NULL,
    version        int NOT NULL,
    slot           smallint NOT NULL,
    lane           bigint NOT NULL,
    topic_offset   bigint NOT NULL,
    event_id       uuid NOT NULL,
    vendor         text NOT NULL,
    content_hash   bytea NOT NULL,
    op             text NOT NULL,
    state          text NOT NULL,
    target_code    text NOT NULL DEFAULT '',
    packet         uuid,
    maybe_sent     boolean NOT NULL DEFAULT false,
    attempts       smallint NOT NULL DEFAULT 1,
    seq            int NOT NULL DEFAULT 1,
    epoch          bigint NOT NULL,
    settled_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (school_year, target, record_id, version)
) PARTITION BY RANGE (school_year);
CREATE INDEX deliveries_event ON deliveries (event_id);
COMMENT ON TABLE deliveries IS 'Proof of delivery: what became of each version at each target; op is what the target was asked for. maybe_sent: discarded while its effect was in doubt.';

CREATE TABLE packets (
    packet         uuid PRIMARY KEY,
    target         text NOT NULL,
    slot           smallint NOT NULL,
    purpose        text NOT NULL,
    step           text NOT NULL CHECK (step IN ('built', 'uploaded', 'submitted', 'settled')),
    members        jsonb NOT NULL,
    bytes_sha256   bytea NOT NULL,
    epoch          bigint NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    step_at        timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX packets_open ON packets (target, slot) WHERE step <> 'settled';
COMMENT ON TABLE packets IS 'A packet of one slot under our own GUID; its row is committed before the POST.';

CREATE TABLE slot_owner (
    target         text NOT NULL,
    slot           smallint NOT NULL,
    epoch          bigint NOT NULL DEFAULT 0,
    owner          text NOT NULL DEFAULT '',
    lease_until    timestamptz NOT NULL DEFAULT '-infinity',
    send_horizon   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (target, slot)
) WITH (fillfactor = 50);
COMMENT ON COLUMN slot_owner.send_horizon IS 'No record at or above this offset was ever sent: written ahead of sending, so that a successor knows which records a dead owner may have sent.';

CREATE TABLE orders (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stage          text NOT NULL,
    target         text NOT NULL DEFAULT '',
    slot           smallint NOT NULL,
    lane           bigint NOT NULL,
    topic_offset   bigint NOT NULL,
    action         text NOT NULL CHECK (action IN ('release', 'discard')),
    reason         text NOT NULL,
    ordered_by     text NOT NULL,
    ordered_at     timestamptz NOT NULL DEFAULT now(),
    state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'done', 'void')),
    outcome        text NOT NULL DEFAULT '',
    done_at        timestamptz
);
CREATE INDEX orders_open ON orders (stage, target, slot) WHERE state = 'open';
COMMENT ON TABLE orders IS 'What people (or the resolver) ask of a parked record; taken only by the owner of the slot. NOTIFY hocba_orders.';

CREATE TABLE outbox (
    id             bigint GENERATED ALWAYS AS IDENTITY,
    created_at     timestamptz NOT NULL DEFAULT now(),
    target         text NOT NULL,
    slot           smallint NOT NULL,
    vendor         text NOT NULL,
    event_id       uuid NOT NULL,
    payload        bytea NOT NULL,
    published      boolean NOT NULL DEFAULT false,
    PRIMARY KEY (created_at, id)
) PARTITION BY RANGE (created_at);
CREATE INDEX outbox_open ON outbox (target, slot, id) WHERE NOT published;
COMMENT ON TABLE outbox IS 'Receipts of delivery, written with the state they tell of and published by the owner of the slot.';

CREATE TABLE event_states (
    event_id       uuid NOT NULL,
    target         text NOT NULL,
    month          date NOT NULL,
    vendor         text NOT NULL,
    record_id      uuid,
    vendor_ref     text,
    vendor_event_id text,
    state          text NOT NULL,
    rank           smallint NOT NULL,
    seq            int NOT NULL,
    version        int,
    code           text NOT NULL DEFAULT '',
    field          text NOT NULL DEFAULT '',
    owner          text NOT NULL DEFAULT '',
    source_topic   text NOT NULL,
    source_partition int NOT NULL,
    source_offset  bigint NOT NULL,
    source_index   int NOT NULL,
    at             timestamptz NOT NULL,
    PRIMARY KEY (event_id, target, month)
) PARTITION BY RANGE (month);
CREATE INDEX event_states_open ON event_states (vendor, state) WHERE state IN ('parked', 'waiting');
CREATE INDEX event_states_record ON event_states (record_id);
CREATE INDEX event_states_vendor_event ON event_states (vendor_event_id) WHERE vendor_event_id IS NOT NULL;
CREATE INDEX event_states_vendor_ref ON event_states (vendor_ref) WHERE vendor_ref IS NOT NULL;
CREATE INDEX event_states_source ON event_states (source_topic, source_partition, source_offset);
COMMENT ON TABLE event_states IS 'The state of every event per target, from its receipts (writer: the tower). month = of the vendor record''s LogAppendTime.';

CREATE TABLE tallies (
    vendor         text NOT NULL,
    target         text NOT NULL,
    state          text NOT NULL,
    events         bigint NOT NULL,
    PRIMARY KEY (vendor, target, state)
) WITH (fillfactor = 50);
COMMENT ON TABLE tallies IS 'Sums of event_states, moved in the same statement as the state.';

CREATE TABLE rejections (
    source_topic   text NOT NULL,
    source_partition int NOT NULL,
    source_offset  bigint NOT NULL,
    month          date NOT NULL,
    vendor         text NOT NULL,
    stage          text NOT NULL,
    reason         text NOT NULL,
    field          text NOT NULL DEFAULT '',
    items          text NOT NULL,
    bytes          int NOT NULL,
    dlt_partition  int NOT NULL,
    dlt_offset     bigint NOT NULL,
    rejected_at    timestamptz NOT NULL,
    PRIMARY KEY (source_topic, source_partition, source_offset, month)
) PARTITION BY RANGE (month);
COMMENT ON TABLE rejections IS 'Where the original bytes of a rejected message lie (writer: the tower).';

-- Ranges are dropped whole when they age out; a missing range would stop a worker, so a default catches it.
-- Later years get their ranges in a later migration.
DO $$
DECLARE
    first_year constant int := 2020;
    last_year  constant int := 2030;
BEGIN
    FOR y IN first_year..last_year LOOP
        EXECUTE format('CREATE TABLE deliveries_%s PARTITION OF deliveries FOR VALUES FROM (%s) TO (%s)', y, y, y + 1);
    END LOOP;
END $$;
CREATE TABLE deliveries_other PARTITION OF deliveries DEFAULT;
CREATE TABLE lookups_other PARTITION OF lookups DEFAULT;
CREATE TABLE outbox_other PARTITION OF outbox DEFAULT;
CREATE TABLE event_states_other PARTITION OF event_states DEFAULT;
CREATE TABLE rejections_other PARTITION OF rejections DEFAULT;

DO $$
DECLARE
    month date;
BEGIN
    FOR month IN SELECT generate_series(date '2026-01-01', date '2027-12-01', interval '1 month')::date LOOP
        EXECUTE format('CREATE TABLE lookups_%s PARTITION OF lookups FOR VALUES FROM (%L) TO (%L)',
                       to_char(month, 'YYYYMM'), month, (month + interval '1 month')::date);
        EXECUTE format('CREATE TABLE outbox_%s PARTITION OF outbox FOR VALUES FROM (%L) TO (%L)',
                       to_char(month, 'YYYYMM'), month, (month + interval '1 month')::date);
        EXECUTE format('CREATE TABLE event_states_%s PARTITION OF event_states FOR VALUES FROM (%L) TO (%L)',
                       to_char(month, 'YYYYMM'), month, (month + interval '1 month')::date);
        EXECUTE format('CREATE TABLE rejections_%s PARTITION OF rejections FOR VALUES FROM (%L) TO (%L)',
                       to_char(month, 'YYYYMM'), month, (month + interval '1 month')::date);
    END LOOP;
END $$;
