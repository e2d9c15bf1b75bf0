"""A network, a loss and an optimizer: training, evaluation, prediction."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from cnn_core import softmax

from . import metrics as metrics_module
from ._check import array, flag, number, whole
from .callbacks import Callback
from .history import History, Mean
from .layers import Layer, Softmax
from .layers._base import Array, Shape, gradient_changes, layer_changes
from .layers.combine import Sequential
from .losses import Loss
from .lr_finder import RangeTest, range_test
from .optimizers import Arena, Optimizer
from .optimizers._plan import Plan
from .progress import Progress
from .training import Run

if TYPE_CHECKING:
    from .profile import Profile


class Model:
    """A network with what it needs to learn.

    Parameters
    ----------
    network : Layer
        Its outputs are what the loss takes: for `losses.CrossEntropy`, logits.
    loss : Loss
        What is made small.
    optimizer : Optimizer
        How.
    metrics : sequence of str or function
        What else is measured: names of `deepfs.metrics`, or functions
        ``(outputs, targets) -> (n,)``. Labels that the loss ignores are taken out first: then
        outputs are rows ``(m, classes)``, one for each label that counts.
    check_finite : bool
        Check every gradient at every step, and name the parameter that is not finite. The loss is
        always checked.
    report_penalty : bool
        Measure what L1 and L2 add to the objective, too: ``penalty`` beside ``loss``, which stays
        without it.

    Raises
    ------
    TypeError, ValueError
        If a part is not of its kind, a metric is not known, or two have one name.

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
        for part, kind in ((network, Layer), (loss, Loss), (optimizer, Optimizer)):
            if not isinstance(part, kind):
                raise TypeError(f"Model needs a deepfs {kind.__name__}, got {part!r}")
        if loss.reduction == "none":
            raise ValueError('Model needs a loss that is one number, got reduction="none"')
        if metrics is None:
            metrics = ()
        if isinstance(metrics, str) or callable(metrics):
            metrics = (metrics,)
        self.network, self.loss, self.optimizer = network, loss, optimizer
        named = [metrics_module.get(metric) for metric in metrics]
        names = ["loss", *(name for name, _ in named)]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"Model needs metrics of different names, got {name!r} twice")
        self.metrics = dict(named)
        self.check_finite = flag(check_finite, "check_finite")
        self.report_penalty = flag(report_penalty, "report_penalty")
        self.steps = 0  # taken by the optimizer
        self.state: dict[str, Array] = {}  # of the optimizer, arrays that lie like the arena
        self.state_owner: Optimizer | None = None  # whose state it is
        self.state_since = 0  # steps taken before it was new
        self.epochs = 0  # whole ones since then, for schedules by epoch
        self.arena: Arena | None = None
        self.buffers: list[Array] = []  # of the network
        self.plan: Plan | None = None  # of the optimizer, for this arena
        self.arena_of: object = None  # what arena, buffers and state were last seen to belong to
        self.cleared: object = None  # what had changed gradients last when a step cleared them all
        self.history = History()  # of the last fit
        self.stop_training = False  # asks fit to end after the current step

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
        x, y = self._pairs(x, y)
        batch_size, epochs = whole(batch_size, "batch_size"), whole(epochs, "epochs", 0)
        accumulate = whole(gradient_accumulation_steps, "gradient_accumulation_steps")
        if validation_data is not None:
            if not isinstance(validation_data, (tuple, list)) or len(validation_data) != 2:
                raise TypeError(
                    f"validation_data must be inputs and targets, got {type(validation_data)}"
                )
            validation_data = self._pairs(*validation_data)
        if isinstance(callbacks, Callback):
            callbacks = (callbacks,)
        for callback in callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(f"callbacks must be deepfs Callbacks, got {callback!r}")
        if checkpoint is None and (checkpoint_every is not None or flag(resume, "resume")):
            raise ValueError("checkpoint_every and resume need a folder, got checkpoint=None")
        if checkpoint_every is not None:
            checkpoint_every = whole(checkpoint_every, "checkpoint_every")
        self._check_pairs(x, y)
        if validation_data is not None:
            self._check_pairs(*validation_data)
        self._check_last(len(x) % batch_size or min(len(x), batch_size), x.shape[1:])
        checkpoints = None
        if checkpoint is not None:
            from .checkpoints import Checkpoints

            checkpoints = Checkpoints(checkpoint)
        run = Run(
            self, (x, y), validation_data, batch_size, epochs, flag(shuffle, "shuffle"), accumulate,
            tuple(callbacks), checkpoints, checkpoint_every, Progress(verbose, epochs, len(x)),
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
            return run.go(last)

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
        return self._step([_batch(x, y, "train_on_batch")])

    def _step(self, batches: Sequence[tuple[Array, Array]]) -> dict[str, float]:
        """Take a step; if it fails, leave everything as it was after the one before."""
        self.network.prepare(batches[0][0][:1])
        arena = self._arena()
        before = [(buffer, buffer.copy()) for buffer in self.buffers]
        try:
            return self._try_step(batches, arena)
        except BaseException:
            for buffer, value in before:
                buffer[...] = value
            raise

    def _try_step(self, batches: Sequence[tuple[Array, Array]], arena: Arena) -> dict[str, float]:
        if self.cleared is not gradient_changes.last:
            arena.grads.fill(0)
        if len(batches) == 1:
            logs, loss_cache, cache = self._forward(*batches[0])
            self.network.backward(self.loss.backward(loss_cache), cache, need_dx=False)
        else:
            logs = self._accumulate(batches, arena)
        if self.check_finite:
            self._check_gradients(arena)
        self.plan = plan = self.optimizer.plan(arena.spans, self.plan)
        if self.report_penalty:
            logs["penalty"] = plan.penalty(arena.values)
        t = self.steps + 1 - self.state_since
        norm = self.optimizer.step(
            arena.values, arena.grads, self.state, t, plan, self.epochs, clear=True
        )
        if norm is not None:
            logs["gradient_norm"] = norm
        self.steps += 1
        self.cleared = gradient_changes.last
        return logs

    def _forward(self, x: Array, y: Array) -> tuple[dict[str, float], Any, Any]:
        """Return loss and metrics, and the caches of the loss and of the network."""
        outputs, cache = self.network.forward(x, training=True)
        value, loss_cache = self.loss.forward(outputs, y)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss at step {self.steps + 1} is {value}: the learning rate may be too "
                "large, or the data not finite; the weights are those of the step before"
            )
        return {"loss": value} | self._measure(outputs, y), loss_cache, cache

    def _accumulate(self, batches: Sequence[tuple[Array, Array]], arena: Arena) -> dict[str, float]:
        """Add up the gradients of several batches as if they were one; return its numbers."""
        loss, mean, total = 0.0, Mean(), 0.0
        for x, y in batches:
            logs, loss_cache, cache = self._forward(x, y)
            divisor = self.loss.divisor(loss_cache)
            dy = self.loss.backward(loss_cache, divisor)  # of the sum of the terms
            self.network.backward(dy, cache, need_dx=False)
            mean.add(logs, self._counted(y))
            loss, total = loss + logs["loss"] * divisor, total + divisor
        if self.loss.reduction == "sum":
            return mean.values() | {"loss": loss}
        if total:
            np.multiply(arena.grads, 1 / total, out=arena.grads)
        return mean.values() | {"loss": loss / total if total else 0.0}

    def _arena(self) -> Arena:
        """Return the arena of the built network; make it anew if the parameters have moved.

        Parameters that are not those of the last step, of a layer built again, start without
        state, and so does another optimizer.
        """
        if self.arena is not None and self.arena_of == self._parts():
            return self.arena
        parameters = self.network.parameters()
        if self.arena is None or not self.arena.holds(parameters):
            if self.arena is not None and not self.arena.has(parameters):
                self.state_owner = None
            self.arena, self.plan, self.cleared = Arena(parameters), None, None
        if self.state_owner is not self.optimizer:
            self.state = self.optimizer.init(self.arena.values)
            self.state_owner, self.state_since = self.optimizer, self.steps
            self.epochs = 0
        self.buffers = list(self.network.buffers().values())
        self.arena_of = self._parts()
        return self.arena

    def _parts(self) -> tuple[object, ...]:
        return self.network, self.optimizer, layer_changes.last

    def _check_gradients(self, arena: Arena) -> None:
        if np.isfinite(arena.grads).all():
            return
        for name, grad in arena.split(arena.grads).items():
            if not np.isfinite(grad).all():
                raise FloatingPointError(
                    f"the gradient of {name} at step {self.steps + 1} is not finite; "
                    "the weights are those of the step before"
                )

    def _measure(self, outputs: Array, y: Array) -> dict[str, float]:
        """Return the mean of each metric over what the loss does not ignore."""
        if self._ignored is not None and self.metrics:
            outputs, y = metrics_module.without_ignored(outputs, y, self._ignored)
            if not len(y):
                return dict.fromkeys(self.metrics, 0.0)
        return {name: _mean(f(outputs, y)) for name, f in self.metrics.items()}

    @property
    def _ignored(self) -> int | None:
        """The label that the loss leaves out, if there is one."""
        return getattr(self.loss, "ignore_index", None)

    def _counted(self, y: Array) -> int:
        """Return how many samples of a batch, or pixels, the loss does not ignore."""
        if self._ignored is None or y.dtype.kind not in "iu":
            return len(y)
        return int((y != self._ignored).sum())

    def _inputs(self, x: ArrayLike) -> Array:
        """Return inputs as an array, after checking what training would trip over."""
        x = array(x, "Model")
        if x.ndim < 1 or len(x) == 0:
            raise ValueError(f"Model needs at least 1 sample, got inputs of shape {x.shape}")
        for start in range(0, len(x), 4096) if x.dtype.kind == "f" else ():
            good = np.isfinite(x[start : start + 4096].reshape(len(x[start : start + 4096]), -1))
            if not good.all():
                at = start + int(good.all(axis=1).argmin())
                raise ValueError(f"Model needs finite inputs, got NaN or infinity in sample {at}")
        return x

    def _check_pairs(self, x: Array, y: Array) -> None:
        """Refuse inputs of a wrong shape, and any wrong target, before the first step."""
        self.network.prepare(x[:1])
        shape = self.network.out_shape(x.shape[1:])
        rows = max(1, 2**20 // max(1, math.prod(shape)))
        for start in range(0, len(y), rows):
            some = y[start : start + rows]
            self.loss.terms(np.zeros((len(some), *shape), self.network.built_dtype), some)

    def _check_last(self, samples: int, in_shape: Shape) -> None:
        """Refuse a last batch that the network cannot train on, before the first step."""
        try:
            self.network.check_training((samples, *in_shape))
        except ValueError as error:
            raise ValueError(f"{error}: that would be the last batch of an epoch") from None

    def _pairs(self, x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
        """Return inputs and targets as arrays, as many of one as of the other."""
        x, y = self._inputs(x), array(y, "Model")
        if y.ndim < 1 or len(y) != len(x):
            raise ValueError(
                f"Model needs a target for each input, got {len(x)} inputs and targets {y.shape}"
            )
        return x, y

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
        x, y = self._pairs(x, y)
        total, weight, mean = 0.0, 0.0, Mean()
        for outputs, targets in self._outputs(x, batch_size, y):
            values, counted, _ = self.loss.terms(outputs, targets)
            total += float(values.sum(dtype=np.float64))
            weight += counted
            mean.add(self._measure(outputs, targets), self._counted(targets))
        divisor = weight if self.loss.reduction == "mean" else 1.0
        return {"loss": total / divisor if divisor else 0.0} | mean.values()

    def predict(self, x: ArrayLike, batch_size: int = 256) -> Array:
        """Return the outputs of the network, ``(n, ...)``, as in inference.

        Parameters
        ----------
        x : array (n, ...)
            Inputs.
        batch_size : int
            Samples at a time: bounds the memory, changes nothing else.
        """
        x = self._inputs(x)
        return np.concatenate([outputs for outputs, _ in self._outputs(x, batch_size, x)])

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

    def _outputs(self, x: Array, batch_size: int, y: Array) -> Iterator[tuple[Array, Array]]:
        batch_size = whole(batch_size, "batch_size")
        for start in range(0, len(x), batch_size):
            part = slice(start, start + batch_size)
            yield self.network(x[part]), y[part]

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
        from .summary import print_summary

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
        from .profile import profile

        x, y = _batch(x, y, "profile")
        repeats = whole(repeats, "repeats")
        self.network.prepare(x)
        return profile(self, x, y, repeats)

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
            The test ends when the smoothed loss is so many times its least, above 1.

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
        x, y = self._pairs(x, y)
        batch_size, steps = whole(batch_size, "batch_size"), whole(steps, "steps", 2)
        low, high = number(min_lr, "min_lr", "(0, inf)"), number(max_lr, "max_lr", "(0, inf)")
        if low >= high:
            raise ValueError(f"max_lr must be above min_lr, got {high} and {low}")
        self._check_pairs(x, y)
        return range_test(
            self, x, y, batch_size, np.geomspace(low, high, steps), number(stop, "stop", "(1, inf)")
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
        from .saving import save

        save(self, path)


def _mean(values: ArrayLike) -> float:
    """Return np.mean(values), for a third of its overhead."""
    values = np.asarray(values)
    return float(np.add.reduce(values, axis=None, dtype=np.float64)) / max(values.size, 1)


def _batch(x: ArrayLike, y: ArrayLike, who: str) -> tuple[Array, Array]:
    """Return a batch as arrays; refuse one without samples."""
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim < 1 or len(x) == 0:
        raise ValueError(f"Model.{who} needs at least 1 sample, got shape {x.shape}")
    return x, y
