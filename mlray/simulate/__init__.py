"""The same decisions under a virtual clock, over recorded or generated traces."""
