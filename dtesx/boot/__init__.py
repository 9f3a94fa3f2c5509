"""Fix-ups that make a mirrored tree start as a virtual machine. Gets a mounted root, never mounts."""
