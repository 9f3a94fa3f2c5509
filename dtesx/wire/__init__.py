"""What crosses the network: identities, TLS, pairing, frames and messages."""
