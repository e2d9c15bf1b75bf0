"""How hyper-parameters are chosen, and on which data."""

EXPERIMENTS: tuple[str, ...] = ()
