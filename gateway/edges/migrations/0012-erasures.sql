-- The right to erasure: what was erased, for whom (by lane), on whose word.  The audit of look-ups and the proof of
-- delivery stay: they hold lanes and ids, and no personal data.
-- depends: 0011-claim-keys

CREATE TABLE erasures (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lane           bigint NOT NULL,
    reason         text NOT NULL,
    ordered_by     text NOT NULL,
    verdicts       int NOT NULL,
    aliases        int NOT NULL,
    bodies         int NOT NULL,
    open_rows      int NOT NULL,
    erased_at      timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE erasures IS 'Erased of one pupil: kept verdicts, aliases, bodies of closed rows; open_rows were left, because a record that is under way is no copy. NOTIFY hocba_erasures.';
CREATE INDEX parked_closed_lane ON parked (lane) WHERE stage = 'identity' AND state = 'closed' AND body IS NOT NULL;
