-- The audit row of a look-up is written before the request leaves, with the word ``asked``, and replaced by what came
-- of it: a process killed in between leaves the row, so no look-up is without one.
-- depends: 0003-identity

CREATE INDEX lookups_asked ON lookups (request_id) WHERE verdict = 'asked';
COMMENT ON TABLE lookups IS 'Audit: every look-up of a pupil with purpose, officer, endpoint, request and verdict (asked: it may have left, and its process ended before an answer; unanswered: it left and nothing came back; refused: the register did not take it); no personal data.';
