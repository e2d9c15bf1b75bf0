"""Windows, filters, feature maps, pooling."""

EXPERIMENTS: tuple[str, ...] = ()
