"""What tests of random layers share."""


def first_draw(layer):
    """Return seed, stream and call of the first random numbers of a layer."""
    return *map(int, layer.buffers()["key"]), 0
