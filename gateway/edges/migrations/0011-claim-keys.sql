-- The claim of a verdict is a keyed hash now (it was a plain SHA-256, which names, dates and IDs are few enough to try).
-- Old verdicts cannot be found under new keys: they are asked for again, and people's decisions are asked of them again.
-- Open rows stand behind nobody until their slot is taken over, which decides them anew with their new keys.
-- depends: 0010-lookups-asked

DELETE FROM verdicts;
UPDATE parked SET state = 'parked', code = 'GW-03', claim_hash = NULL
WHERE stage = 'identity' AND state <> 'closed' AND claim_hash IS NOT NULL;
COMMENT ON COLUMN verdicts.claim_hash IS 'HMAC of code, citizen ID, name, birth date and sex under a key derived from the lane-token key.';
COMMENT ON COLUMN parked.claim_hash IS 'As in verdicts (identity).';
