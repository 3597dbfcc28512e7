"""Who the pupil is and which national version an event becomes: pure decisions, no I/O, no clock."""
