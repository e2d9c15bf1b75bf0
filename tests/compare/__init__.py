"""Tests against other frameworks, skipped where they are not installed."""
