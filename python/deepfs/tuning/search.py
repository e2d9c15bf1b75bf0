"""`deepfs.search`: hyper-parameters by grid, at random, or by Bayesian optimisation.

Optuna draws settings, prunes and stores; this module trains, looks after processes and refits.
"""

from __future__ import annotations

import inspect
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Literal

from cnn_core.threads import usable_cpus

from .._check import flag, one_of, shown, whole
from .._names import hint, refuse_unknown
from ..callbacks._monitor import MODES, sign_of
from ..model import Model
from ..random import get_seed
from .given_data import data_of, is_function

if TYPE_CHECKING:
    from .result import Search

HELD = 0.2  # share of the samples to validate on
ROUNDS = 3  # of coarse to fine
REFUSED = {
    "checkpoint": "all trials would share its folder",
    "checkpoint_every": "all trials would share its folder",
    "resume": "a search goes on by itself, from its storage",
}


def search(
    build: Callable[[dict[str, Any]], Model],
    space: Mapping[str, Any],
    data: Any,
    method: str = "tpe",
    n_trials: int | None = None,
    *,
    pruner: Any = None,
    storage: Any = None,
    n_jobs: int = 1,
    cv: int | None = None,
    metric: str = "val_loss",
    seed: int | None = None,
    mode: str = "auto",
    rounds: int = ROUNDS,
    refit: bool = True,
    diagnose: bool = True,
    study_name: str = "search",
    client: Any = None,
    verbose: bool | int = True,
    **fit: Any,
) -> Search:
    """Search hyper-parameters: train a model for each of many settings, and keep the best.

    Parameters
    ----------
    build : function
        Gets a dict of settings, returns a new `Model`. If it raises an error, that trial has
        failed and the search goes on.
    space : dict
        For each setting ``("log", low, high)``, ``("uniform", low, high)`` or ``(low, high)``; a
        list of values, or one value; a `range`; or a distribution of Optuna. Two ints are a range
        of ints, both ends included. ``"batch_size"`` and ``"epochs"`` are given to `Model.fit`,
        too.
    data : (x, y), DataSet or function
        Inputs and targets, or a data set such as a `Loader`; or a function from settings to one of
        them, to search augmentations, for instance. Test data do not belong here.
    method : {"grid", "random", "tpe", "gp", "cmaes", "coarse_to_fine"}
        All combinations of lists; at random; Bayesian optimisation by a tree-structured Parzen
        estimator or, with torch, a Gaussian process; an evolution strategy; or rounds at random,
        each in narrower ranges around the best.
    n_trials : int, optional
        Number of trials, in all. Without it, a grid is complete; other methods need it.
    pruner : {None, "median", "hyperband", "successive_halving"} or a pruner of Optuna
        Ends trials after an epoch in which they are worse than others were.
    storage : str, Path or a storage of Optuna, optional
        Where trials are kept: ``"search.db"`` (SQLite), ``"search.log"`` (a journal file) or the
        URL of a database. The same call goes on with what is there, after a kill, too; calls on
        several machines share a database.
    n_jobs : int
        Number of processes, -1: one per processor. The threads are divided among them.
    cv : int, optional
        Train each trial on that many folds; the metric is the mean of their validations.
    metric : str
        The number of an epoch to compare, of validation: ``"val_loss"``, or ``"accuracy"`` for
        ``"val_accuracy"``. It is that of the last epoch, or of the epoch whose weights
        `EarlyStopping` restores.
    seed : int, optional
        Random seed of settings, folds and models; by default that of `set_seed`.
    mode : {"auto", "min", "max"}
        Whether small or large values of ``metric`` are good; "auto": by its name.
    rounds : int
        Number of rounds of ``"coarse_to_fine"``.
    refit : bool
        Train the model of the best settings on all samples: ``best_model``.
    diagnose : bool
        Let `deepfs.diagnose` look at the model of each trial, for the log.
    study_name : str
        Name of the search in its storage.
    client : distributed.Client, optional
        A Dask cluster, whose workers run the trials in place of processes. If some are on other
        machines, it needs a ``storage`` that all reach.
    verbose : bool
        Print a line for each trial.
    **fit
        Other arguments of `Model.fit`, such as ``epochs``. Without ``validation_data``,
        ``validation_split`` is 0.2. Callbacks are copied for each trial.

    Returns
    -------
    Search
        A `Study` of Optuna, with ``best_params``, ``trials`` and so on, and besides
        ``best_model`` and ``log``.

    Raises
    ------
    TypeError, ValueError
        If an argument is of the wrong kind or out of range, an entry of the space is empty, or the
        storage has another search of that name or is of another version.
    ImportError
        If Optuna is not installed, or what the method or the storage needs.
    RuntimeError
        If no trial is complete.

    Notes
    -----
    Settings and initial weights follow from ``seed`` and the number of the trial, so that without
    a pruner the results of grid, random and coarse to fine do not depend on ``n_jobs``.
    ``docs/search.md`` has the details.

    References
    ----------
    Bergstra and Bengio, "Random search for hyper-parameter optimization", 2012. Akiba et al.,
    "Optuna: a next-generation hyperparameter optimization framework", 2019, arXiv:1907.10902.

    Examples
    --------
    >>> import numpy as np
    >>> import deepfs as dfs
    >>> x = np.random.default_rng(0).normal(size=(80, 2))
    >>> def build(params):
    ...     rule = dfs.optimizers.Adam(params["lr"])
    ...     return dfs.Model(dfs.layers.Dense(2), "cross_entropy", rule)
    >>> space = {"lr": [1e-6, 1e-1]}
    >>> data = x, (x[:, 0] > 0).astype(int)
    >>> found = dfs.search(build, space, data, "grid", epochs=20, seed=0, verbose=False)
    >>> found.best_params, found.best_model.steps
    ({'lr': 0.1}, 60)
    """
    need_optuna()
    from .processes import check_client
    from .run import Plan, Run, quiet_optuna, storage_of
    from .space import space_of
    from .storage import absolute
    from .trials import Job

    known = [*inspect.signature(search).parameters, *inspect.signature(Model.fit).parameters]
    known = [name for name in known if name not in ("self", "x", "y", "fit")]
    if not fit.keys() <= {*known}:
        refuse_unknown(fit, known, "search")
    check_build(build)
    jobs = jobs_of(n_jobs)
    if not isinstance(study_name, str) or not study_name:
        raise TypeError(f"study_name must be text, got {shown(study_name)}")
    metric, direction = metric_of(metric, mode)
    seed = get_seed() if seed is None else whole(seed, "seed", 0, 2**63 - 1)
    among = space_of(space)
    check_client(client, storage)
    plan = Plan(
        method, among, None if n_trials is None else whole(n_trials, "n_trials"), seed,
        whole(rounds, "rounds"),
    )  # fmt: skip
    job = Job(
        build, among, data if is_function(data) else data_of(data),
        fit_of(fit, among.distributions, cv), metric, direction,
        None if cv is None else whole(cv, "cv", 2), plan.sampler, seed, checked_pruner(pruner),
        flag(diagnose, "diagnose"), study_name, absolute(storage), jobs > 1 or client is not None,
        str(uuid.uuid4()),
    )  # fmt: skip
    refit = flag(refit, "refit")
    with quiet_optuna(), storage_of(job) as opened:
        return Run(job, plan, opened, jobs, client, bool(verbose)).run(refit)


def need_optuna() -> None:
    """Raise ImportError with the line to type if Optuna is not there."""
    try:
        import optuna  # noqa: F401
    except ImportError:
        raise ImportError(
            "deepfs.search needs Optuna, which is not installed: pip install 'deepfs[search]'"
        ) from None


def check_build(build: Any) -> None:
    """Raise TypeError if ``build`` is no function of one argument."""
    if isinstance(build, Model) or not callable(build):
        way = ": write a function that makes one of settings" if isinstance(build, Model) else ""
        raise TypeError(
            f"build must be a function from settings to a Model, got {shown(build)}{way}"
        )
    try:
        inspect.signature(build).bind({})
    except TypeError:
        raise TypeError(
            f"build must take one argument, the dict of settings: build(params), got {shown(build)}"
        ) from None
    except ValueError:  # a builtin without a signature
        pass


def fit_of(fit: dict[str, Any], space: Collection[str], cv: Any) -> dict[str, Any]:
    """Return the arguments of `fit` for all trials; refuse those that a search cannot use."""
    for name, why in REFUSED.items():
        if name in fit:
            raise TypeError(f"search takes no {name}: {why}")
    twice = [name for name in ("batch_size", "epochs") if name in fit and name in space]
    if twice:
        raise TypeError(f"{twice[0]} is in space and an argument, too: leave one out")
    if cv is not None and not {"validation_data", "validation_split"}.isdisjoint(fit):
        raise TypeError("cv validates on its folds: leave out validation_data, validation_split")
    whole(fit.get("epochs", 1), "epochs")
    fit = {"verbose": 0, **fit}
    if cv is None and fit.get("validation_data") is None:
        split = fit.get("validation_split")
        fit["validation_split"] = HELD if split is None else split
    return fit


def metric_of(metric: Any, mode: Any) -> tuple[str, Literal["minimize", "maximize"]]:
    """Return the name of the number to compare, and whether to minimise it."""
    if not isinstance(metric, str) or not metric:
        raise TypeError(f'metric must be a name such as "val_loss", got {shown(metric)}')
    mode = one_of(mode, "mode", MODES)
    name = metric if metric.startswith("val_") else f"val_{metric}"
    return name, "minimize" if sign_of(name, mode, "search") > 0 else "maximize"


def jobs_of(n_jobs: Any) -> int:
    """Return the number of processes."""
    count = whole(n_jobs, "n_jobs", -1)
    if count == 0:
        raise ValueError("n_jobs must be at least 1, or -1 for one process per processor, got 0")
    return usable_cpus() if count < 0 else count


def checked_pruner(pruner: Any) -> Any:
    """Return a pruner if it is one, or the name of one."""
    from optuna.pruners import BasePruner

    from .methods import PRUNERS

    if pruner is None or isinstance(pruner, BasePruner):
        return pruner
    if not isinstance(pruner, str) or pruner not in PRUNERS:
        raise ValueError(
            f"pruner must be {', '.join(PRUNERS)} or a pruner of Optuna, got {shown(pruner)}"
            f"{hint(str(pruner), PRUNERS)}"
        )
    return pruner
