"""Parked records, their reasons and the plans that replay them: pure decisions over ledger rows."""
