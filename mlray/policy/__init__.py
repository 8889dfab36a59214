"""What the owner asked for, turned into room to act."""
