"""Benchmarks: dtesx in turns with rsync, whole processes, both sides counted."""
