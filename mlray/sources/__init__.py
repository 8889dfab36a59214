"""What lies outside, as typed tables: files, tables and streams, each cut into pieces that are read on their own."""
