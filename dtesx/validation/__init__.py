"""Whether a job can be carried out: facts in, findings out. Pure."""
