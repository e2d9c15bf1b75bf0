"""How optimizers move, on functions of two variables and on digits."""

EXPERIMENTS: tuple[str, ...] = ()
