"""Stories on real clusters, told through the command line as people use it."""
