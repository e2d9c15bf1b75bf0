"""The loop of `Model.fit` and what looks at data before it."""
