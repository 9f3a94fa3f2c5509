"""What changed in file systems while they are in use, as the kernel tells it."""
