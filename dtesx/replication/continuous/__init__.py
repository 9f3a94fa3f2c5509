"""Continuous replication: what changes on a source, in epochs, until told to stop."""
