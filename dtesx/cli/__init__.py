"""The command line: a thin client of the management API, the lab, the demo, and the services' start."""
