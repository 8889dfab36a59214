"""What was spent, and what is set aside."""
