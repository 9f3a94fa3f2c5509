"""``dtesx demo``: protects, loses and recovers a server of the lab, and checks the result."""
