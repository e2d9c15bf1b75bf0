"""Model: train, evaluate, predict and save a network."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ._arrays import Array, Shape
from ._check import flag, number, whole
from .callbacks import Callback
from .inspection.summary import print_summary
from .layers import Layer
from .losses import Loss, only_warning
from .optimizers import Arena, Optimizer
from .predictor import Predictor
from .saving.checkpoints import Checkpoints
from .trainer import Delegated, Metric, Trainer, check_kinds, check_meaning, named_metrics
from .training.fit import Run
from .training.history import History
from .training.inputs import (
    check_last_batch,
    check_targets,
    checked_batch,
    checked_callbacks,
    checked_pairs,
    checked_validation,
)
from .training.lr_finder import RangeTest, range_test
from .training.progress import Progress

if TYPE_CHECKING:
    from .inspection.profile import Profile


class Model(Predictor):
    """A network with a loss and an optimizer: train, evaluate, predict, save.

    Parameters
    ----------
    network : Layer
        Its outputs must be what the loss takes: logits for `losses.CrossEntropy`.
    loss : Loss, str, function, or tuple or dict of these
        The loss that training minimizes; see `losses.get`. A tuple or dict has one for each output
        of the network.
    optimizer : Optimizer
        The update rule of a step.
    metrics : "auto", or sequence of str or function
        Numbers to measure beside the loss, over the whole set: names or functions of
        `deepfs.metrics`, or functions of your own, ``(outputs, targets)`` to one number per sample,
        ``(n,)``, or to one number. Of several outputs, a dict or tuple of them. "auto": accuracy
        for a loss of classes, binary accuracy for one of yes or no, else none. Samples whose labels
        the loss ignores are removed first: then outputs are rows ``(m, classes)``, one for each
        label that is not ignored.
    check_finite : bool
        Check all gradients at every step, and raise an error that names the parameter whose
        gradient is not finite. The loss is always checked.
    report_penalty : bool
        Also measure the L1 and L2 penalties, as ``penalty``. The ``loss`` does not include them.

    Attributes
    ----------
    steps : int
        Number of steps taken so far.
    epochs : int
        Number of whole epochs trained so far.
    history : History
        Logs of the last `fit`.
    stop_training : bool
        Set it to True in a callback to end `fit` after the current step.
    trainer : Trainer
        The arrays of the training: parameters, gradients, state of the optimizer.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind, a metric is not known, or two metrics have the same
        name; if the outputs of the network are surely not what the loss takes, as after a `Softmax`
        before `losses.CrossEntropy`. Where that may be meant, there is a warning. The same
        holds when one is replaced later, as by ``model.optimizer = ...``.

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
        loss: Any,
        optimizer: Optimizer,
        metrics: Any = "auto",
        check_finite: bool = False,
        report_penalty: bool = False,
    ) -> None:
        loss = check_kinds(loss, "loss")
        auto = isinstance(metrics, str) and metrics == "auto"
        self.trainer = Trainer(
            network, loss, optimizer,
            named_metrics(loss.output_kind.metrics if auto else metrics, "metrics"),
            flag(check_finite, "check_finite"), flag(report_penalty, "report_penalty"),
        )  # fmt: skip
        for name in ("network", "optimizer"):
            check_kinds(getattr(self.trainer, name), name)
        check_meaning(network, loss, self.trainer.metrics)
        self.trainer.auto_metrics = auto
        self.history = History()

    @classmethod
    def _of(cls, trainer: Trainer) -> Model:
        """Return the model of a trainer that was read from a file."""
        with only_warning():
            made = cls(trainer.network, trainer.loss, trainer.optimizer, trainer.metrics)
        vars(made)["trainer"] = trainer
        return made

    network = Delegated[Layer]()
    loss = Delegated[Loss]()
    optimizer = Delegated[Optimizer]()  # another one starts without state
    metrics = Delegated[Mapping[str, Metric]]()
    check_finite = Delegated[bool]()
    report_penalty = Delegated[bool]()
    stop_training = Delegated[bool]()
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
        """Train on a data set for a number of epochs.

        Parameters
        ----------
        x, y : array (n, ...)
            Inputs and targets.
        batch_size : int
            Samples per batch; the last batch of an epoch may be smaller.
        epochs : int
            Number of passes over the data.
        validation_data : (array, array), optional
            Inputs and targets to evaluate after each epoch.
        shuffle : bool
            Use a new random order of the samples in each epoch.
        verbose : {"auto", 0, 1, 2}
            0 is silent, 1 a progress bar, 2 a line per epoch; "auto" is a bar on a terminal and
            lines elsewhere.
        callbacks : sequence of Callback
            Their hooks are called in this order; see `deepfs.callbacks`.
        checkpoint : str or Path, optional
            Folder for checkpoints, one after each epoch and one on Ctrl-C. The last two are kept.
            `deepfs.load` reads each of them as a model.
        checkpoint_every : int, optional
            Write a checkpoint every ``checkpoint_every`` steps, too.
        resume : bool
            Continue from the last checkpoint in the folder, if there is one; the result has the
            same bits as a run that was never interrupted. All arguments but ``epochs`` must be the
            same.
        gradient_accumulation_steps : int
            Number of batches whose gradients are combined for one step, as if they were one batch;
            only batch norm treats them separately. The name is Keras's.

        Returns
        -------
        History
            Loss and metrics of each epoch. Ctrl-C ends the run after the current step and keeps its
            results. The history of a resumed run starts with the first epoch.

        Raises
        ------
        TypeError, ValueError
            If an argument is of the wrong kind or out of range, or if the data is empty, not
            finite, of unequal lengths, or does not fit the network.
        FloatingPointError
            If the loss is not finite. Then the step is not taken, and ``model.history`` holds the
            epochs before.
        FileExistsError
            If the folder has checkpoints and ``resume`` is False.
        CheckpointError
            If all checkpoints are damaged, or the last is of another run. Then nothing has changed.
        OSError
            If a checkpoint cannot be written. Earlier ones are kept.

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
            validation_data = checked_validation(validation_data)
        callbacks = checked_callbacks(callbacks)
        if checkpoint is None and (checkpoint_every is not None or flag(resume, "resume")):
            raise ValueError("checkpoint_every and resume need a folder, got checkpoint=None")
        if checkpoint_every is not None:
            checkpoint_every = whole(checkpoint_every, "checkpoint_every")
        check_targets(self.trainer, x, y)
        if validation_data is not None:
            check_targets(self.trainer, *validation_data)
        check_last_batch(self.trainer, len(x) % batch_size or min(len(x), batch_size), x.shape[1:])
        checkpoints = None if checkpoint is None else Checkpoints(checkpoint)
        run = Run(
            self.trainer, (x, y), validation_data, batch_size, epochs, flag(shuffle, "shuffle"),
            accumulate, callbacks, checkpoints, checkpoint_every,
            Progress(verbose, epochs, len(x)),
        )  # fmt: skip
        last = None if checkpoints is None else checkpoints.newest(resume)
        with contextlib.nullcontext() if last is None else last:
            self.history = run.history
            for callback in callbacks:
                callback.set_model(self)
            return run.run(last)

    def train_on_batch(self, x: ArrayLike, y: ArrayLike) -> dict[str, float]:
        """Take one training step on a batch: forward, backward, optimizer, zero the gradients.

        Parameters
        ----------
        x, y : array (n, ...)
            One batch of inputs and targets.

        Returns
        -------
        dict of float
            ``loss`` and metrics of the batch before the step; also ``gradient_norm`` before
            clipping, if the optimizer clips by norm.

        Raises
        ------
        ValueError
            If the batch is empty or does not fit the network.
        FloatingPointError
            If the loss is not finite, or the norm to clip by, or, with ``check_finite``, a
            gradient. Then no step is taken.

        Examples
        --------
        >>> import deepfs as dfs
        >>> model = Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
        >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
        >>> first, second = model.train_on_batch(x, y), model.train_on_batch(x, y)
        >>> second["loss"] < first["loss"], model.steps
        (True, 2)
        """
        return self.trainer.step([checked_batch(x, y, "train_on_batch")])

    def summary(self, in_shape: Shape | None = None) -> None:
        """Print a table of the layers: name, class, output shape, algorithm, number of parameters.

        Parameters
        ----------
        in_shape : tuple of int, optional
            Shape of an input without the batch axis. The network is built for it if it is not built
            yet.

        Raises
        ------
        RuntimeError
            If the network is not built and ``in_shape`` is not given.

        Examples
        --------
        >>> import deepfs as dfs
        >>> net = dfs.layers.Sequential([dfs.layers.Dense(8), dfs.layers.ReLU()])
        >>> model = Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> model.summary((4,))
        layer    kind   output   algorithm  parameters
        dense_1  Dense  (n, 8)   -                  40
        relu_1   ReLU   (n, 8)   -                   -
        40 parameters, float32
        """
        print_summary(self.network, in_shape)

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
        """Learning rate range test: take one step at each of many rates, from small to large.

        A copy of the model takes the steps, so neither the model nor the random numbers that follow
        change, except that the network is built if it is not built yet.

        Parameters
        ----------
        x, y : array (n, ...)
            Training inputs and targets.
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
        stop = number(stop, "stop", "(1, inf)")
        return range_test(self.trainer, x, y, batch_size, np.geomspace(low, high, steps), stop)

    def save(self, path: str | Path) -> None:
        """Save network, weights and the optimizer's state to a safetensors file.

        The file is written under another name and then renamed, so it is either complete or not
        there. `deepfs.load` reads it.

        Parameters
        ----------
        path : str or Path
            The file, by convention with the ending ``.safetensors``.

        Raises
        ------
        RuntimeError
            If the network is not built yet, and so has no weights.
        OSError
            If the file cannot be written. An earlier file of that name is kept.

        Examples
        --------
        >>> import tempfile
        >>> import deepfs as dfs
        >>> model = Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> logs = model.train_on_batch(np.eye(4), np.array([0, 1, 0, 1]))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model.save(f"{folder}/model.safetensors")
        ...     loaded = dfs.load(f"{folder}/model.safetensors")
        >>> loaded.steps
        1
        """
        from .saving.model import save

        save(self.trainer, path)
