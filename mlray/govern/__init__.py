"""The loop that keeps the promise: observe, plan, recheck, apply, record."""
