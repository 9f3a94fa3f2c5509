"""A whole site on one machine: vSphere simulator, source, appliance and replica, for demos and tests."""
