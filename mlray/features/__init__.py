"""Raw columns to what a model sees, alike in training and serving."""
