"""Raw rows to a sealed dataset version."""
