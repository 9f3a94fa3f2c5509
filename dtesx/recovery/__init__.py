"""Protect, mirror, snapshot, failover, delete: persisted, resumable, idempotent steps."""
