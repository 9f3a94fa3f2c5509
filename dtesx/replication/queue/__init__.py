"""The source queue: what was not yet acknowledged, in memory and then on disk."""
