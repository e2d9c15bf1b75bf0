"""Whether kernels of one's own can be compiled here."""

import importlib.util
import shutil
import sysconfig
from pathlib import Path


def can_compile():
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    tools = all(importlib.util.find_spec(name) for name in ("Cython", "setuptools"))
    return tools and bool(shutil.which(compiler)) and headers.exists()
