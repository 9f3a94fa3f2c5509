"""What the machine we run on is made of, as far as a replica needs to know."""
