"""What a job will make. Pure: inventory, job and what vSphere offers in, plan out."""
