"""Model: train, evaluate, predict and save a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ._arrays import Array
from ._check import flag, whole
from ._names import explain_arguments
from ._parts import Delegated, Metric, check_kinds, named_metrics
from ._trees import Tree
from .callbacks import Callback
from .data.batches import DataSet, Stream
from .data.loader import as_loader
from .distributed.launch import together
from .distributed.shards import Shards
from .inspector import Inspector
from .layers import Layer
from .losses import Loss
from .losses._output_kinds import only_warning
from .optimizers import Arena, Optimizer
from .optimizers._networks import warn_of_no_epoch
from .preprocessing import Preprocess
from .saving.checkpoints import Checkpoints
from .schedules import Schedule
from .trainer import Trainer
from .training.fit import Run
from .training.history import History
from .training.hooks import checked_callbacks
from .training.inputs import (
    check_batches,
    checked_batch,
    checked_stream,
    checked_validation,
)
from .training.limits import Limits
from .training.prepare import training_data
from .training.progress import Progress


class Model(Inspector):
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
    seed : int, optional
        Random seed of this model: its initial weights, shuffling and dropout do not depend on what
        else draws random numbers, in this thread or another. By default that of `set_seed`.
    preprocess : Preprocess or sequence of these, optional
        What is done to inputs before the network sees them, see `deepfs.preprocessing`: `fit` fits
        it to its training part, if it is not fitted; all methods that take inputs apply it.
    class_names : sequence of str, optional
        Names of the classes in the order of their numbers, for `predict_labels` and reports. Of one
        output, yes or no: ``(no, yes)``. Both are in the file.

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
        optimizer: Optimizer | str,
        metrics: Any = "auto",
        check_finite: bool = False,
        report_penalty: bool = False,
        *,
        seed: int | None = None,
        preprocess: Preprocess | Sequence[Preprocess] | None = None,
        class_names: Sequence[str] | None = None,
    ) -> None:
        network, loss = check_kinds(network, "network"), check_kinds(loss, "loss")
        rule: Optimizer = check_kinds(optimizer, "optimizer")
        auto = isinstance(metrics, str) and metrics == "auto"
        self.trainer = Trainer(
            network, loss, rule,
            named_metrics(loss.output_kind.metrics if auto else metrics, "metrics"),
            flag(check_finite, "check_finite"), flag(report_penalty, "report_penalty"),
            None if seed is None else whole(seed, "seed", 0, 2**63 - 1),
        )  # fmt: skip
        self.trainer.check_ends()
        self.trainer.auto_metrics = auto
        self.preprocess, self.class_names = preprocess, class_names
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

    @explain_arguments
    @together
    def fit(
        self,
        x: Tree | Iterable[Any],
        y: Tree = None,
        batch_size: int | None = None,
        epochs: int = 1,
        validation_data: tuple[Any, ...] | None = None,
        shuffle: bool = True,
        verbose: str | int = "auto",
        *,
        sample_weight: Tree = None,
        class_weight: Mapping[int, float] | None = None,
        drop_last: bool = False,
        steps_per_epoch: int | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | Path | None = None,
        checkpoint_every: int | None = None,
        resume: bool = False,
        gradient_accumulation_steps: int = 1,
        validation_split: float | None = None,
        fast_dev_run: bool | int = False,
        overfit_batches: int = 0,
        shards: int | None = None,
        sync_batch_norm: bool = False,
    ) -> History:
        """Train on a data set for a number of epochs.

        Parameters
        ----------
        x, y : array (n, ...), or tuple or dict of them
            Inputs and targets: what NumPy reads as an array of numbers, or an array that is read by
            slices, such as a data set of h5py. A network of several inputs or outputs takes tuples
            or dicts. Without ``y``, ``x`` is a `data.Loader`, or an iterable of batches ``(inputs,
            targets)`` or ``(inputs, targets, sample weights)``.
        batch_size : int, optional
            Samples per batch, by default 32, or those of the loader; the last batch of an epoch may
            be smaller. An iterable makes its own.
        epochs : int
            Number of passes over the data.
        validation_data : (inputs, targets), (inputs, targets, weights) or Loader, optional
            Data to evaluate on after each epoch.
        shuffle : bool
            Use a new random order of the samples in each epoch, unless the loader says no.
        verbose : {"auto", 0, 1, 2}
            0 is silent, 1 a progress bar, 2 a line per epoch; "auto" is a bar on a terminal and
            lines elsewhere.
        validation_split : float, optional
            Share of the samples to hold out and evaluate on after each epoch, in (0, 1). They are
            chosen at random, by class if targets are labels, and not the last ones as in Keras;
            always the same ones of the same targets, see ``docs/data.md``.
        sample_weight : array (n,), optional
            Weight of each sample in the loss, at least 0; or of each term, in the shape of the
            targets. Metrics are not weighted.
        class_weight : dict of float, optional
            Weight of each label, as Keras has it: a factor of the sample weight. Other labels
            have 1.
        drop_last : bool
            Leave out the last batch of an epoch if it is smaller than the others.
        steps_per_epoch : int, optional
            Steps that make an epoch. An iterator such as a generator needs it and goes on in the
            next epoch; another iterable starts anew.
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
            same. A run on an iterable continues at the end of an epoch only.
        gradient_accumulation_steps : int
            Number of batches whose gradients are combined for one step, as if they were one batch;
            only batch norm treats them separately. The name is Keras's.
        fast_dev_run : bool or int
            Try everything with one batch, or so many, of training and of validation: one epoch,
            without checkpoints and without callbacks that write files or stop the training. As in
            Lightning, the model keeps what it has learnt.
        overfit_batches : int
            Take only so many batches of the training data, the same in each epoch, and so many of
            the validation data: a network that learns at all overfits them. As in Lightning.
        shards : int, optional
            Parts of each batch whose gradients are computed apart and added in order: the bits do
            not depend on the number of processes that share them, which must divide it. By default
            that number, 1 without ``mpiexec``; see ``docs/distributed.md``.
        sync_batch_norm : bool
            Let batch norm take the statistics of the whole batch, and not of each shard.

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
        size = 32 if batch_size is None else whole(batch_size, "batch_size")
        epochs = whole(epochs, "epochs", 0)
        accumulate = whole(gradient_accumulation_steps, "gradient_accumulation_steps")
        steps = None if steps_per_epoch is None else whole(steps_per_epoch, "steps_per_epoch")
        drop_last, shuffle = flag(drop_last, "drop_last"), flag(shuffle, "shuffle")
        loader = as_loader(x)
        if loader is not None:
            x, size = loader, loader.batch_size if batch_size is None else size
            drop_last, shuffle = drop_last or loader.drop_last, shuffle and loader.shuffle
        callbacks = checked_callbacks(callbacks)
        if checkpoint is None and (checkpoint_every is not None or flag(resume, "resume")):
            raise ValueError("checkpoint_every and resume need a folder, got checkpoint=None")
        if checkpoint_every is not None:
            checkpoint_every = whole(checkpoint_every, "checkpoint_every")
        stream = checked_stream(self.trainer, x, y, steps)
        parts = Shards.of(shards, sync_batch_norm, size if stream is None else None)
        if stream is not None:
            if drop_last:
                raise TypeError("an iterable makes its own batches: leave drop_last out")
            if sample_weight is not None or class_weight is not None:
                raise TypeError("an iterable yields its own weights: (inputs, targets, weights)")
            if validation_split is not None:
                raise TypeError("an iterable cannot be split: give fit validation_data")
            data: DataSet | Stream = stream
            validation = None
            if validation_data is not None:
                validation = checked_validation(self.trainer, validation_data)
        else:
            data, validation = training_data(
                self.trainer, x, y, sample_weight, class_weight, validation_data, validation_split
            )
            check_batches(self.trainer, data, size, drop_last, parts)
        limits = Limits.of(fast_dev_run, overfit_batches, data)
        if limits.dev:
            checkpoint = checkpoint_every = None
        checkpoints = None if checkpoint is None else Checkpoints(checkpoint)
        run = Run(
            self.trainer, data, validation, size, epochs, steps,
            shuffle and (limits.dev or limits.batches is None), drop_last, accumulate, callbacks,
            checkpoints, checkpoint_every, Progress(
                verbose if not parts.world.rank else 0, limits.epochs(epochs),
                limits.samples(data.samples, size)), limits, parts,
        )  # fmt: skip
        last = None if checkpoints is None else checkpoints.newest(resume)
        with contextlib.nullcontext() if last is None else last:
            self.history = run.history
            for callback in callbacks:
                callback.set_model(self)
            return run.run(last)

    def train_on_batch(
        self,
        x: Tree,
        y: Tree,
        *,
        sample_weight: Tree = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> dict[str, float]:
        """Take one training step on a batch: forward, backward, optimizer, zero the gradients.

        Parameters
        ----------
        x, y : array (n, ...), or tuple or dict of them
            One batch of inputs and targets.
        sample_weight, class_weight : optional
            As of `fit`.

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
        who = "train_on_batch"
        batch = checked_batch(self.trainer, x, y, who, sample_weight, class_weight)
        logs = self.trainer.step([batch])
        schedule = self.trainer.optimizer.lr
        if isinstance(schedule, Schedule):
            warn_of_no_epoch(schedule, self.steps, self.epochs, stacklevel=3)
        return logs

    def end_epoch(self, logs: Mapping[str, float] | None = None) -> None:
        """End an epoch in a training loop of your own, as `fit` does.

        Schedules by epoch move on, and `schedules.Plateau` is told the results.

        Parameters
        ----------
        logs : dict of float, optional
            Results of the epoch by name, such as those of `evaluate`.

        Raises
        ------
        ValueError
            If the schedule monitors a number that is not among them. Then the epoch has not ended.

        Examples
        --------
        >>> import deepfs as dfs
        >>> rate = dfs.schedules.Step(0.1, every=1, by="epoch")
        >>> optimizer = dfs.optimizers.SGD(rate)
        >>> model = Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), optimizer)
        >>> logs = model.train_on_batch([[1.0, 0.0], [0.0, 1.0]], [0, 1])
        >>> model.end_epoch(logs)
        >>> round(optimizer.rate(model.steps + 1, model.epochs), 6)
        0.01
        """
        self.trainer.end_epoch({} if logs is None else logs)

    def save(self, path: str | Path) -> None:
        """Save network, weights and the optimizer's state to a safetensors file.

        The file is written under another name and then renamed, so it is either complete or not
        there. `deepfs.load` reads it. A symbolic link is followed, and the mode of an earlier file
        of that name is kept.

        Parameters
        ----------
        path : str or Path
            The file, by convention with the ending ``.safetensors``.

        Raises
        ------
        RuntimeError
            If the network is not built yet, and so has no weights; or if another thread changes the
            model meanwhile.
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
