"""The processes: source service, appliance service, target worker."""
