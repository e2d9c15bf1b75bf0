"""Hyper-parameter search on Optuna, for `deepfs.search`: ``pip install 'deepfs[search]'``."""
