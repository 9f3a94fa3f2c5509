"""The replica's disks: planning, partitioning, file systems, mounting, and private views of mounts."""
