"""One target's deliveries: per-pupil lanes, batches, retry and offsets, as a pure state machine."""
