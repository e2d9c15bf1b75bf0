"""Views: several views of each image at prediction, whose outputs are averaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from .._arrays import Array
from .._check import flag, whole
from .._settings import ExplainedSettings
from .._trees import Tree, map_tree


@dataclass
class Views(ExplainedSettings):
    r"""Test-time augmentation: the mean of the outputs for several views of an image.

    With :math:`m` the mean over an image and its mirror image, and :math:`s_{-}, s_{+}` the image
    moved up and left, and down and right, by so many pixels:

    .. math:: y = \frac{1}{2} m(x) + \frac{1}{4} m(s_{-} x) + \frac{1}{4} m(s_{+} x)

    Without a shift, :math:`y = m(x)`.

    Parameters
    ----------
    mirror : bool
        Look at the image mirrored left to right, too. Not for classes that change with it, such as
        digits.
    shift : int
        Pixels by which the image is moved, at least 0; 0 leaves these views out. The edges reflect.

    Raises
    ------
    TypeError, ValueError
        If a setting is of the wrong kind or out of range, or both leave a single view; on call, if
        inputs are not images (n, c, h, w) larger than the shift.

    Notes
    -----
    The methods of `deepfs.Model` take it as ``views``: `evaluate`, `predict`, `predict_proba`,
    `predict_classes`, `predict_labels`. The mean is that of the outputs of the network: of logits,
    if it ends with logits, before the softmax. Views are of what the network gets, after the
    preprocessing. Two views take twice the time, six six times.
    NumPy reference: `deepfs.reference.views`.

    References
    ----------
    Krizhevsky, Sutskever and Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012 (crops and mirror images; there the mean is of probabilities). Jordan, "94% on
    CIFAR-10 in 3.29 seconds on a single GPU", 2024, arXiv:2404.00498 (these six views
    and weights, of logits).

    Examples
    --------
    >>> import deepfs as dfs
    >>> from deepfs.augment import Views
    >>> parts = dfs.layers.Flatten(), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
    >>> model, x = dfs.Model(*parts), np.array([[[[0.0, 2.0]]]])
    >>> model.predict(x), model.predict(x, views=Views())
    (array([[0., 2.]]), array([[1., 1.]]))
    >>> Views.mirror_and_shift()
    Views(shift=1)
    """

    mirror: bool = True
    shift: int = 0

    def __post_init__(self) -> None:
        self.mirror, self.shift = flag(self.mirror, "mirror"), whole(self.shift, "shift", 0)
        if not self.mirror and not self.shift:
            raise ValueError("Views must mirror or shift, got mirror=False, shift=0: leave it out")

    @classmethod
    def mirror_and_shift(cls, shift: int = 1) -> Views:
        """Return the six views of Jordan 2024."""
        return cls(True, shift)

    def __call__(self, network: Callable[[Array], Tree], x: Tree) -> Tree:
        """Return the mean of the outputs of a function for the views of images.

        Parameters
        ----------
        network : function
            Returns outputs of images, an array or a tuple or dict of them.
        x : array (n, c, h, w)
            The images.
        """
        if not isinstance(x, np.ndarray) or x.ndim != 4 or min(x.shape[2:]) <= self.shift:
            what = tuple(x.shape) if isinstance(x, np.ndarray) else type(x).__name__
            raise ValueError(
                f"Views takes images (n, c, h, w) larger than shift={self.shift}, got {what}"
            )
        total: Tree = None
        for weight, view in self._views(x):
            part = map_tree(lambda y, weight=weight: y * y.dtype.type(weight), network(view))
            total = part if total is None else map_tree(np.add, total, part)
        return total

    def _views(self, x: Array) -> Iterator[tuple[float, Array]]:
        """Yield the weight of each view, and the view."""
        moved = [(0.5, x)] if self.shift else [(1.0, x)]
        if self.shift:
            s, (h, w) = self.shift, x.shape[2:]
            padded = np.pad(x, ((0, 0), (0, 0), (s, s), (s, s)), mode="reflect")
            moved += [(0.25, padded[:, :, i : i + h, i : i + w]) for i in (2 * s, 0)]
        for weight, image in moved:
            if not self.mirror:
                yield weight, image
                continue
            for view in (image, image[:, :, :, ::-1]):
                yield weight / 2, view
