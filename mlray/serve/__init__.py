"""Models offered to callers, replicated and scaled inside their policy."""
