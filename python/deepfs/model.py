"""A network, a loss and an optimizer: training, evaluation, prediction, files."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import softmax

from ._arrays import Array, Shape
from ._check import flag, number, whole
from ._settings import ExplainedSettings
from .callbacks import Callback
from .layers import Layer, Sequential, Softmax
from .losses import Loss
from .optimizers import Arena, Optimizer
from .trainer import Delegated, Metric, Trainer, check_kinds, named_metrics
from .training.fit import Run
from .training.history import History
from .training.inputs import (
    check_last_batch,
    check_targets,
    checked_batch,
    checked_inputs,
    checked_pairs,
)
from .training.lr_finder import RangeTest, range_test
from .training.progress import Progress

if TYPE_CHECKING:
    from .inspection.profile import Profile


class Model(ExplainedSettings):
    """A network with a loss and an optimizer: it trains, evaluates, predicts and saves.

    Parameters
    ----------
    network : Layer
        Its outputs are what the loss takes: for `losses.CrossEntropy`, logits.
    loss : Loss
        Minimized by training.
    optimizer : Optimizer
        The rule of a step.
    metrics : sequence of str or function
        Measured besides: names of `deepfs.metrics`, or functions
        ``(outputs, targets) -> (n,)``. Labels that the loss ignores are taken out first: then
        outputs are rows ``(m, classes)``, one for each label that counts.
    check_finite : bool
        Check every gradient at every step, and name the parameter that is not finite. The loss is
        always checked.
    report_penalty : bool
        Measure what L1 and L2 add to the objective, too: ``penalty`` beside ``loss``, which stays
        without it.

    Attributes
    ----------
    steps : int
        Steps taken so far.
    history : History
        Of the last `fit`.
    stop_training : bool
        Set it to True in a callback to end `fit` after the current step.
    trainer : Trainer
        The arrays behind: parameters, gradients, state of the optimizer.

    Raises
    ------
    TypeError, ValueError
        If a part is not of its kind, a metric is not known, or two have one name. The same holds
        when a part is exchanged later, as by ``model.optimizer = ...``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam(1e-3))
    >>> x, y = np.random.default_rng(0).random((100, 1, 28, 28)), np.arange(100) % 10
    >>> logs = model.train_on_batch(x, y)
    >>> sorted(logs)
    ['accuracy', 'loss']
    """

    def __init__(
        self,
        network: Layer,
        loss: Loss,
        optimizer: Optimizer,
        metrics: Sequence[Any] = ("accuracy",),
        check_finite: bool = False,
        report_penalty: bool = False,
    ) -> None:
        self.trainer = Trainer(
            network, loss, optimizer, named_metrics(metrics, "metrics"),
            flag(check_finite, "check_finite"), flag(report_penalty, "report_penalty"),
        )  # fmt: skip
        for name in ("network", "loss", "optimizer"):
            check_kinds(getattr(self.trainer, name), name)
        self.history = History()

    @classmethod
    def _of(cls, trainer: Trainer) -> Model:
        """Return the model of a trainer that was read from a file."""
        made = cls(trainer.network, trainer.loss, trainer.optimizer, ())
        vars(made)["trainer"] = trainer
        return made

    network = Delegated[Layer](check_kinds)
    loss = Delegated[Loss](check_kinds)
    optimizer = Delegated[Optimizer](check_kinds)  # another one starts without state
    metrics = Delegated[Mapping[str, Metric]](named_metrics)
    check_finite = Delegated[bool](flag)
    report_penalty = Delegated[bool](flag)
    stop_training = Delegated[bool](flag)
    steps = Delegated[int]()
    epochs = Delegated[int]()
    arena = Delegated[Arena | None]()
    state = Delegated[dict[str, Array]]()

    def fit(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        epochs: int = 1,
        validation_data: tuple[ArrayLike, ArrayLike] | None = None,
        shuffle: bool = True,
        verbose: str | int = "auto",
        *,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        gradient_accumulation_steps: int = 1,
    ) -> History:
        """Train on a data set, epoch by epoch.

        Parameters
        ----------
        x, y : array (n, ...)
            Inputs and targets.
        batch_size : int
            Samples per step; the last step of an epoch takes what is left.
        epochs : int
            How often every sample is seen.
        validation_data : (array, array), optional
            Inputs and targets to evaluate after each epoch.
        shuffle : bool
            Draw a new order for each epoch.
        verbose : {"auto", 0, 1, 2}
            Silent, a bar, or a line per epoch; "auto" is a bar on a terminal and lines elsewhere.
        callbacks : sequence of Callback
            What else to do meanwhile, in this order; see `deepfs.callbacks`.
        checkpoint : str or Path, optional
            A folder for the model and where the run stands: after each epoch and on Ctrl-C. The
            last two are kept. `deepfs.load` reads each of them as a model.
        checkpoint_every : int, optional
            Steps from one checkpoint to the next, besides.
        resume : bool
            Go on from the last checkpoint in the folder, if there is one, to the bits of a run that
            was never interrupted. Everything but ``epochs`` must be as it was.
        gradient_accumulation_steps : int
            Batches whose gradients a step of the optimizer takes together, as if they were one;
            only batch norm knows them apart. The name is Keras's.

        Returns
        -------
        History
            Ctrl-C ends the run after the current step: everything up to it is kept, and so is the
            history so far. That of a resumed run begins with the first epoch.

        Raises
        ------
        ValueError
            If the data is empty, not finite, of unequal lengths, or does not fit the network.
        FloatingPointError
            If the loss is no longer finite: the step that would have followed is not taken, and
            ``model.history`` holds the epochs before.
        FileExistsError
            If the folder has checkpoints, and they are not to be resumed.
        CheckpointError
            If all of them are damaged, or the last is of another run: then nothing has changed.
        OSError
            If a checkpoint cannot be written; those before are left.

        Examples
        --------
        >>> import tempfile
        >>> import deepfs as dfs
        >>> def model():
        ...     dfs.set_seed(0)
        ...     net = dfs.layers.Dense(2)
        ...     return dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
        >>> x, y, folder = np.eye(8), np.arange(8) % 2, tempfile.TemporaryDirectory()
        >>> half = model().fit(x, y, 4, epochs=1, verbose=0, checkpoint=folder.name)
        >>> whole = model().fit(x, y, 4, epochs=2, verbose=0, checkpoint=folder.name, resume=True)
        >>> model().fit(x, y, 4, epochs=2, verbose=0) == whole
        True
        >>> folder.cleanup()
        """
        x, y = checked_pairs(x, y)
        batch_size, epochs = whole(batch_size, "batch_size"), whole(epochs, "epochs", 0)
        accumulate = whole(gradient_accumulation_steps, "gradient_accumulation_steps")
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError(
                    f"validation_data must be inputs and targets, got {type(validation_data)}"
                )
            validation_data = checked_pairs(*validation_data)
        if isinstance(callbacks, Callback):
            callbacks = (callbacks,)
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be deepfs Callbacks, got {callback!r}")
        if checkpoint is None and (checkpoint_every is not None or flag(resume, "resume")):
            raise ValueError("checkpoint_every and resume need a folder, got checkpoint=None")
        if checkpoint_every is not None:
            checkpoint_every = whole(checkpoint_every, "checkpoint_every")
        check_targets(self.trainer, x, y)
        if validation_data is not None:
            check_targets(self.trainer, *validation_data)
        check_last_batch(self.trainer, len(x) % batch_size or min(len(x), batch_size), x.shape[1:])
        checkpoints = None
        if checkpoint is not None:
            from .saving.checkpoints import Checkpoints

            checkpoints = Checkpoints(checkpoint)
        run = Run(
            self.trainer, (x, y), validation_data, batch_size, epochs, flag(shuffle, "shuffle"),
            accumulate, tuple(callbacks), checkpoints, checkpoint_every,
            Progress(verbose, epochs, len(x)),
        )  # fmt: skip
        with contextlib.ExitStack() as stack:
            last = None if checkpoints is None else checkpoints.newest()
            if last is not None:
                stack.enter_context(last)
                if not resume:
                    raise FileExistsError(
                        f"{checkpoint} has checkpoints of a run already: resume=True goes on with "
                        "it; to start anew, remove them or name another folder"
                    )
            self.history = run.history
            for callback in callbacks:
                callback.set_model(self)
            return run.run(last)

    def train_on_batch(self, x: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """Take one step: forward, backward, optimizer, which leaves all gradients 0.

        Parameters
        ----------
        x, y : array (n, ...)
            One batch of inputs and targets.

        Returns
        -------
        dict of float
            ``loss`` and metrics of the batch, before the step; ``gradient_norm`` before clipping,
            where the optimizer clips by norm.

        Raises
        ------
        ValueError
            If the batch is empty or does not fit the network.
        FloatingPointError
            If the loss is not finite (or, with ``check_finite``, a gradient; or the norm to clip
            by): no step is taken.
        """
        return self.trainer.step([checked_batch(x, y, "train_on_batch")])

    def evaluate(self, x: ArrayLike, y: ArrayLike, batch_size: int = 256) -> dict[str, float]:
        """Measure loss and metrics on a data set, as in inference.

        Parameters
        ----------
        x, y : array (n, ...)
            Inputs and targets.
        batch_size : int
            Samples at a time: bounds the memory, changes nothing else.

        Returns
        -------
        dict of float
            ``loss`` and metrics, over all samples alike.

        Raises
        ------
        ValueError
            If the data is empty, not finite, or does not fit the network.
        """
        x, y = checked_pairs(x, y)
        return self.trainer.evaluate(x, y, whole(batch_size, "batch_size"))

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the outputs of the network, ``(n, ...)``, as in inference.

        Parameters
        ----------
        x : array (n, ...)
            Inputs.
        batch_size : int
            Samples at a time: bounds the memory, changes nothing else.
        """
        x = checked_inputs(x)
        outputs = self.trainer.outputs(x, x, whole(batch_size, "batch_size"))
        return np.concatenate([output for output, _ in outputs])

    def predict_proba(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the probability of each class, ``(n, classes)``; parameters as of `predict`."""
        outputs = self.predict(x, batch_size)
        last = self.network
        while isinstance(last, Sequential):
            last = last.layers[-1]
        if isinstance(last, Softmax):
            return outputs
        if outputs.ndim != 2:
            raise ValueError(f"probabilities need outputs (n, classes), got {outputs.shape}")
        probabilities = np.empty_like(outputs)
        softmax.softmax(np.ascontiguousarray(outputs), probabilities)
        return probabilities

    def predict_classes(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the most probable class of each sample, ``(n,)``; parameters as of `predict`."""
        return self.predict(x, batch_size).argmax(axis=1)

    def summary(self, in_shape: Shape | None = None) -> None:
        """Print a row per layer: name, kind, output shape, algorithm of convolutions, parameters.

        Parameters
        ----------
        in_shape : tuple of int, optional
            Of an input, without the batch axis: builds the network if it has seen no data yet.

        Raises
        ------
        RuntimeError
            If the network is not built and ``in_shape`` is not given.
        """
        from .inspection.summary import print_summary

        print_summary(self.network, in_shape)

    def profile(self, x: ArrayLike, y: ArrayLike, repeats: int = 10) -> Profile:
        """Measure where the time of a training step goes, layer by layer.

        A copy of the model takes the steps, always the same one: weights, gradients, buffers, the
        optimizer's state, `steps` and `history` stay as they are, whatever happens. Only a network
        that has seen no data yet is built for ``x``, as by any other method.

        Parameters
        ----------
        x, y : array (n, ...)
            One batch of inputs and targets.
        repeats : int
            Steps to take the medians of, after one that is not timed.

        Returns
        -------
        Profile
            Print it for a table; ``rows`` and ``as_dict()`` are for programs.

        Raises
        ------
        ValueError, FloatingPointError
            As `train_on_batch`.

        Examples
        --------
        >>> import deepfs as dfs
        >>> model = Model(dfs.networks.mlp((32,)), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> profile = model.profile(np.zeros((8, 1, 28, 28)), np.arange(8), repeats=2)
        >>> [row.name for row in profile.rows][:4]
        ['flatten_1', 'dense_1', 'relu_1', 'dense_2']
        >>> profile["dense_1"].forward.multiply_adds == 8 * 784 * 32
        True
        """
        from .inspection.profile import profile

        x, y = checked_batch(x, y, "profile")
        repeats = whole(repeats, "repeats")
        self.network.prepare(x)
        return profile(self.trainer, x, y, repeats)

    def lr_find(
        self,
        x: ArrayLike,
        y: ArrayLike,
        batch_size: int = 32,
        *,
        min_lr: float = 1e-6,
        max_lr: float = 10.0,
        steps: int = 100,
        stop: float = 4.0,
    ) -> RangeTest:
        """Try learning rates from small to large, a step at each: the range test of Smith (2017).

        A copy of the model takes the steps: nothing of the model itself changes, nor do the random
        numbers that follow. Only a network that has seen no data yet is built for ``x``.

        Parameters
        ----------
        x, y : array (n, ...)
            Training inputs and targets.
        batch_size : int
            Samples per step.
        min_lr, max_lr : float
            The first rate and the last, above 0; those between are a factor apart.
        steps : int
            At most; at least 2.
        stop : float
            The test ends when the smoothed loss is ``stop`` times its least, above 1.

        Returns
        -------
        RangeTest
            ``lrs``, ``losses`` and ``smooth`` to look at, and a ``suggestion``: where the loss
            falls fastest.

        Raises
        ------
        ValueError
            If a setting is out of range, or the data as for `fit`.

        References
        ----------
        Smith, "Cyclical learning rates for training neural networks", 2017, arXiv:1506.01186.

        Examples
        --------
        >>> import deepfs as dfs
        >>> dfs.set_seed(0)
        >>> (x, y), _ = dfs.datasets.mnist_mini()
        >>> model = Model(dfs.networks.mlp(), dfs.losses.CrossEntropy(), dfs.optimizers.Adam())
        >>> test = model.lr_find(x, y)
        >>> 1e-5 < test.suggestion < 1e-1
        True
        """
        x, y = checked_pairs(x, y)
        batch_size, steps = whole(batch_size, "batch_size"), whole(steps, "steps", 2)
        low, high = number(min_lr, "min_lr", "(0, inf)"), number(max_lr, "max_lr", "(0, inf)")
        if low >= high:
            raise ValueError(f"max_lr must be above min_lr, got {high} and {low}")
        check_targets(self.trainer, x, y)
        return range_test(
            self.trainer,
            x,
            y,
            batch_size,
            np.geomspace(low, high, steps),
            number(stop, "stop", "(1, inf)"),
        )

    def save(self, path: str | Path) -> None:
        """Write network, weights and the optimizer's state to a safetensors file.

        The file is complete or not there: it is written under another name and then renamed.
        `deepfs.load` reads it.

        Parameters
        ----------
        path : str or Path
            Of the file; by custom it ends in ``.safetensors``.

        Raises
        ------
        RuntimeError
            If the network has seen no data yet, and so has no weights.
        OSError
            If the file cannot be written; what was there before is left.
        """
        from .saving.model import save

        save(self.trainer, path)
