"""What a job will make, worked out before anything is made. Pure: inventory, job and vSphere's offer in, plan out."""
