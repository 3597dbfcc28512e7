-- A release outlives the owner that heard of it.
-- depends: 0020-delivery

ALTER TABLE parked DROP CONSTRAINT parked_sent_check;
ALTER TABLE parked ADD CONSTRAINT parked_sent_check CHECK (sent IN ('no', 'maybe', 'released', 'again'));
COMMENT ON COLUMN parked.sent IS 'Whether the target may have applied it: no (refused), maybe (parked in doubt), released (by order, not sent since), again (released, and since then perhaps sent) (delivery).';
