"""Build cnn_core with `deepfs.build`; everything else about the package is in pyproject.toml.

Environment variables: see `python/deepfs/build.py`.
"""

import sys

from setuptools import setup

sys.path.insert(0, "python")  # the deepfs of this folder, which is not installed yet

from deepfs import build

setup(**build.setup_arguments("cnn_core", "src/cnn_core"))
