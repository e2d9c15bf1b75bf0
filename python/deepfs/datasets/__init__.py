"""Data sets: MNIST, Fashion-MNIST, CIFAR, folders of pictures, and the files they come in."""

from .._elsewhere import explain_absent as _explain_absent
from .._public import public_names as _public_names
from .cifar import (
    CIFAR10_CLASSES,
    CIFAR100_CLASSES,
    CIFAR100_SUPERCLASSES,
    cifar10,
    cifar100,
    read_cifar,
)
from .folder import ImageFolder, from_directory
from .idx import read_idx, write_idx
from .mnist import FASHION_MNIST_CLASSES, MNIST_CLASSES, fashion_mnist, mnist, mnist_mini
from .tables import read_csv, read_npz

__all__ = [
    "CIFAR10_CLASSES",
    "CIFAR100_CLASSES",
    "CIFAR100_SUPERCLASSES",
    "FASHION_MNIST_CLASSES",
    "MNIST_CLASSES",
    "ImageFolder",
    "cifar10",
    "cifar100",
    "fashion_mnist",
    "from_directory",
    "mnist",
    "mnist_mini",
    "read_cifar",
    "read_csv",
    "read_idx",
    "read_npz",
    "write_idx",
]


def __dir__() -> list[str]:
    return _public_names(globals())


_explain_absent(__name__)
