"""Differential privacy of a study: accounting over everything that touched train rows, plan, ledger and key."""
