"""Tables of a network: its layers (summary) and their times (profile)."""
