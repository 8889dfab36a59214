"""What clouds ask for an hour of a machine: tables with a date and a source, and how they are read and refreshed."""
