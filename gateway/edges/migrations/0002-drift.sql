-- Drift (design rule 9): input fields no rule reads and words no table knows, counted per connector by the tower.
-- Names only, bounded in length and number; never a value.  How far gateway.drift is read stands in watermarks.
-- depends: 0001-ledger

CREATE TABLE drift (
    connector      text NOT NULL,
    kind           text NOT NULL CHECK (kind IN ('unknown', 'unseen')),
    name           text NOT NULL,
    times          bigint NOT NULL,
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    PRIMARY KEY (connector, kind, name)
);
COMMENT ON TABLE drift IS 'unknown: an input field no rule reads; unseen: a code and field whose value is in no list.';
