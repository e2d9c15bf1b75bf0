"""Twins: what runs in the place of a layer within `deepfs.use_reference`.

A twin gives the arrays and settings of its layer to the functions of `deepfs.reference`, and keeps
what these need for backward. `table` says which layer has which.
"""
