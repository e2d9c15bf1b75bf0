"""A network as tables: what it is made of, and where the time of a step goes."""
