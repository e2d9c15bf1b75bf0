"""Data as `deepfs.Model` takes them: containers that people hand over, and batches."""
