-- Identity: the audit of a look-up names officer and endpoint; verdicts are dropped by their end.
-- Verdicts are a cache and their words have changed: they are asked for again.
-- depends: 0002-drift

ALTER TABLE lookups ADD COLUMN officer text NOT NULL DEFAULT '';
ALTER TABLE lookups ADD COLUMN endpoint text NOT NULL DEFAULT '';
COMMENT ON TABLE lookups IS 'Audit: every look-up of a pupil with purpose, officer, endpoint, request and verdict (unanswered: it left and nothing came back); no personal data.';

DELETE FROM verdicts;
CREATE INDEX verdicts_end ON verdicts (expires_at);

CREATE TABLE aliases (
    lane           bigint PRIMARY KEY,
    official_code  bytea NOT NULL,
    key_id         text NOT NULL,
    reason         text NOT NULL,
    recorded_by    text NOT NULL,
    recorded_at    timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE aliases IS 'The official code (sealed) of a pupil who had a temporary one, by the temporary code''s lane; written by people, read by identity (DQ-24).';

ALTER TABLE verdicts ADD COLUMN decided_by text NOT NULL DEFAULT '';
ALTER TABLE verdicts ADD COLUMN reason text NOT NULL DEFAULT '';
COMMENT ON COLUMN verdicts.decided_by IS 'The person who decided it; no look-up replaces or forgets such a verdict.';
