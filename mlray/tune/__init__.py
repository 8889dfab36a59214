"""Search that spends dollars rather than trials, on workers that may be taken away."""
