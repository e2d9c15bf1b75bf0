"""Windows, filters, feature maps, pooling."""

EXPERIMENTS: tuple[str, ...] = (
    "im2col_steps",
    "output_sizes",
    "edge_filters",
    "learned_filters",
    "feature_maps",
    "pooling_shift",
    "misclassified_digits",
    "transfer",
)
