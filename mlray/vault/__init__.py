"""Encrypted, versioned bytes."""
