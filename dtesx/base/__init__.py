"""Ground floor: errors, logging, subprocesses, durable files, retry. Imports nothing of dtesx above it."""
