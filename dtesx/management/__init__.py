"""The management service: its store, its HTTPS API, and the clients of both APIs."""
