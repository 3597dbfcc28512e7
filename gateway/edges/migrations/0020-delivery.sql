-- Delivery: updates in two steps, alarms of a slot, what the target replied, and the attempts that settled nothing.
-- depends: 0001-ledger

ALTER TABLE deliveries ADD COLUMN revoked_for int;
ALTER TABLE deliveries ADD COLUMN revoked_at timestamptz;
ALTER TABLE deliveries ADD COLUMN reply text NOT NULL DEFAULT '';
COMMENT ON COLUMN deliveries.revoked_for IS 'The version this one was revoked for, at a target that knows only create and revoke; state stays what it was.';
COMMENT ON COLUMN deliveries.reply IS 'The answer that settled it: accepted, duplicate (an earlier answer was lost) or stale; empty when nothing was sent.';

ALTER TABLE slot_owner ADD COLUMN alarm text NOT NULL DEFAULT '';
ALTER TABLE slot_owner ADD COLUMN alarm_since timestamptz;
COMMENT ON COLUMN slot_owner.alarm IS 'The code of what a person must look at (TG-07: the target refuses whatever it is sent); empty: nothing.';

CREATE TABLE attempts (
    school_year    smallint NOT NULL,
    target         text NOT NULL,
    record_id      uuid NOT NULL,
    version        int NOT NULL,
    n              smallint NOT NULL CHECK (n BETWEEN 1 AND 20),
    at             timestamptz NOT NULL DEFAULT now(),
    epoch          bigint NOT NULL,
    outcome        text NOT NULL,
    PRIMARY KEY (school_year, target, record_id, version, n)
) PARTITION BY RANGE (school_year);
COMMENT ON TABLE attempts IS 'The last 20 attempts of a version at a target that did not settle it; the one that did stands in deliveries.';

DO $$
BEGIN
    FOR y IN 2020..2030 LOOP
        EXECUTE format('CREATE TABLE attempts_%s PARTITION OF attempts FOR VALUES FROM (%s) TO (%s)', y, y, y + 1);
    END LOOP;
END $$;
CREATE TABLE attempts_other PARTITION OF attempts DEFAULT;
