"""Inspector: look at a network and at its training. It is a base class of `deepfs.Model`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Shape
from ._check import number, whole
from .data.loader import as_loader
from .exporter import Exporter
from .inspection.overview import model_html, model_in_words
from .inspection.summary import print_summary
from .training.inputs import checked_batch
from .training.lr_finder import RangeTest, range_test
from .training.prepare import data_of_copy

if TYPE_CHECKING:
    from .data.batches import DataSet
    from .inspection.plan import TrainingPlan
    from .inspection.profile import Profile


class Inspector(Exporter):
    """What `deepfs.Model` tells about itself: summary, profile, plan, range of learning rates."""

    def __repr__(self) -> str:
        return model_in_words(type(self).__name__, self.trainer, self._logs())

    def _repr_html_(self) -> str:
        return model_html(type(self).__name__, self.trainer, self._logs())

    def _logs(self) -> dict[str, list[float]]:
        """Return the logs of the last `fit`."""
        return getattr(getattr(self, "history", None), "history", {})

    def summary(self, in_shape: Shape | None = None) -> None:
        """Print a table of the layers: shapes, algorithms, parameters, work, memory.

        Parameters
        ----------
        in_shape : tuple of int, optional
            Shape of an input without the batch axis. The network is built for it if it is not built
            yet.

        Raises
        ------
        RuntimeError
            If the network is not built and ``in_shape`` is not given.

        Notes
        -----
        MACs are the multiply-adds of a forward pass for one sample, as textbooks count them;
        ``memory`` is that of the output for one sample, with 1 kB = 1000 bytes. A training step
        keeps less than all outputs, since fused layers need none of their own. A layer in several
        places has the mark "shared" in all but the first. Long names lose their beginning.

        Examples
        --------
        >>> import deepfs as dfs
        >>> net = dfs.layers.Sequential([dfs.layers.Tanh(), dfs.layers.Dense(8)])
        >>> model = dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> model.summary((4,))
        layer    kind   output  algorithm  params  MACs  memory
        tanh_1   Tanh   (n, 4)  -               -     -    16 B
        dense_1  Dense  (n, 8)  -              40    32    32 B
        40 parameters, float32, 160 B
        for each sample 32 multiply-adds (MACs), outputs of 48 B
        """
        print_summary(self.trainer.network, in_shape)

    def profile(self, x: ArrayLike, y: ArrayLike, repeats: int = 10) -> Profile:
        """Measure the time of a training step, layer by layer.

        A copy of the model takes the steps, so the model does not change, except that its network
        is built if it is not built yet.

        Parameters
        ----------
        x, y : array (n, ...)
            One batch of inputs and targets.
        repeats : int
            Number of timed steps, whose medians are reported. One step before them is not timed.

        Returns
        -------
        Profile
            Print it for a table; ``rows`` and ``as_dict()`` are for programs.

        Raises
        ------
        TypeError, ValueError, FloatingPointError
            As `train_on_batch`, and if ``repeats`` is not an int of at least 1.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp((32,)), dfs.losses.CrossEntropy(), dfs.optimizers.SGD()
        >>> model = dfs.Model(*parts)
        >>> profile = model.profile(np.zeros((8, 1, 28, 28)), np.arange(8), repeats=2)
        >>> [row.name for row in profile.rows][:4]
        ['flatten_1', 'dense_1', 'relu_1', 'dense_2']
        >>> profile["dense_1"].forward.multiply_adds == 8 * 784 * 32
        True
        """
        from .inspection.profile import profile

        batch = checked_batch(self.trainer, x, y, "profile")
        repeats = whole(repeats, "repeats")
        self.trainer.build(batch.x)
        return profile(self.trainer, batch, repeats)

    def plan(
        self,
        batch_size: int = 32,
        samples: int | DataSet | None = None,
        in_shape: Shape | None = None,
    ) -> TrainingPlan:
        """Predict memory and time of a training from a few steps on random numbers.

        A copy of the model takes the steps, so neither the model nor the random numbers that follow
        change; the network is not even built.

        Parameters
        ----------
        batch_size : int
            Samples per step.
        samples : int or Loader, optional
            Samples of an epoch, for its time; or the `data.Loader` that has them.
        in_shape : tuple of int, optional
            Shape of an input without the batch axis, needed if the network is not built yet. A
            `Graph` knows it; of several inputs it is a tuple or dict of shapes.

        Returns
        -------
        TrainingPlan
            Print it for a table; ``peak_bytes``, ``memory``, ``step_seconds``, ``epoch_seconds``
            and ``as_dict()`` are for programs.

        Raises
        ------
        RuntimeError
            If the network is not built and ``in_shape`` is not given.
        TypeError, ValueError
            If a number is out of range, or the network cannot take such a batch; if no random
            targets can be made for the loss.
        FloatingPointError
            If the loss is not finite, as of a model whose weights are NaN.

        Notes
        -----
        Memory is what `fit` takes beside the interpreter, the data set and its validation, on this
        number of threads. ``docs/plan.md`` compares it with measurements.

        Examples
        --------
        >>> import deepfs as dfs
        >>> parts = dfs.networks.mlp((32,)), dfs.losses.CrossEntropy(), dfs.optimizers.Adam()
        >>> plan = dfs.Model(*parts).plan(batch_size=100, samples=5000, in_shape=(1, 28, 28))
        >>> plan.parameters, plan.multiply_adds, plan.steps
        (25450, 25408, 50)
        >>> plan.memory["optimizer"] == 2 * plan.memory["parameters"]
        True
        """
        from .inspection.plan import plan

        batch_size = whole(batch_size, "batch_size")
        data = as_loader(samples)
        if data is not None:
            samples = data.samples
        count = None if samples is None else whole(samples, "samples")
        return plan(self.trainer, batch_size, count, in_shape)

    def lr_find(
        self,
        x: ArrayLike | DataSet,
        y: ArrayLike | None = None,
        batch_size: int = 32,
        *,
        min_lr: float = 1e-6,
        max_lr: float = 10.0,
        steps: int = 100,
        stop: float = 4.0,
    ) -> RangeTest:
        """Learning rate range test: take one step at each of many rates, from small to large.

        A copy of the model takes the steps, so neither the model nor the random numbers that follow
        change, except that the network is built if it is not built yet.

        Parameters
        ----------
        x, y : array (n, ...)
            Training inputs and targets; or a `data.Loader` alone.
        batch_size : int
            Samples per step.
        min_lr, max_lr : float
            The first and the last rate, above 0. The rates between grow by a constant factor.
        steps : int
            Number of rates, at least 2.
        stop : float
            The test ends early when the smoothed loss exceeds ``stop`` times its minimum; above 1.

        Returns
        -------
        RangeTest
            ``lrs``, ``losses`` and ``smooth`` to plot, and ``suggestion``: the rate at which the
            loss falls fastest.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range, or the data does not suit `fit`.

        References
        ----------
        Smith, "Cyclical learning rates for training neural networks", 2017, arXiv:1506.01186.

        Examples
        --------
        >>> import deepfs as dfs
        >>> dfs.set_seed(0)
        >>> (x, y), _ = dfs.datasets.mnist_mini()
        >>> model = dfs.Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
        >>> test = model.lr_find(x, y)
        >>> 1e-5 < test.suggestion < 1e-1
        True
        """
        batch_size, steps = whole(batch_size, "batch_size"), whole(steps, "steps", 2)
        low, high = number(min_lr, "min_lr", "(0, inf)"), number(max_lr, "max_lr", "(0, inf)")
        if low >= high:
            raise ValueError(f"max_lr must be above min_lr, got {high} and {low}")
        stop = number(stop, "stop", "(1, inf)")
        data = data_of_copy(self.trainer, as_loader(x) or x, y)
        return range_test(self.trainer, data, batch_size, np.geomspace(low, high, steps), stop)
