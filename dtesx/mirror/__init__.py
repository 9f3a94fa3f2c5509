"""Source side of a mirror: walk a tree, plan the difference against the target's, read content."""
