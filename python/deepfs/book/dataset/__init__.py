"""The book's ``dataset/``."""
