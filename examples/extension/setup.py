"""Build the kernels of the example with `deepfs.build`."""

from setuptools import setup

from deepfs import build

setup(**build.setup_arguments("deepfs_example", "src/deepfs_example"))
