"""mlray: governed data, search and serving on Ray. Importing it starts nothing and reads nothing."""

__version__ = "0.1.0"
