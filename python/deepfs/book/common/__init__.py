"""The book's ``common/``: functions, gradients, layers, optimizers, networks, a trainer."""
