"""Hyper-parameter search on Optuna: `deepfs.search`, which needs ``pip install 'deepfs[search]'``."""
