"""What capacity costs, and how it goes away."""
