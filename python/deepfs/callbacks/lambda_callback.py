"""A callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

from .._check import shown
from ._base import Callback

Hook: TypeAlias = Callable[..., Any]


@dataclass(eq=False)
class LambdaCallback(Callback):
    """Callback made of functions, one for each hook that is needed.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : function, optional
        ``f(epoch, logs)``, see `Callback`.
    on_train_begin, on_train_end : function, optional
        ``f(logs)``.
    on_train_batch_begin, on_train_batch_end : function, optional
        ``f(batch, logs)``.
    on_test_begin, on_test_end : function, optional
        ``f(logs)``.

    Raises
    ------
    TypeError
        If one is no function, or there is no such hook.

    Notes
    -----
    It has no state: what the functions remember, a resumed run does not know.

    References
    ----------
    ``keras.callbacks.LambdaCallback``.

    Examples
    --------
    >>> import deepfs as dfs
    >>> model = dfs.Model(dfs.layers.Dense(2), dfs.losses.CrossEntropy(), dfs.optimizers.SGD(1.0))
    >>> say = LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch, sorted(logs)))
    >>> history = model.fit(np.eye(4), np.array([0, 1, 0, 1]), epochs=2, verbose=0, callbacks=[say])
    0 ['accuracy', 'loss']
    1 ['accuracy', 'loss']
    """

    on_epoch_begin: Hook | None = None  # type: ignore[assignment]
    on_epoch_end: Hook | None = None  # type: ignore[assignment]
    on_train_begin: Hook | None = None  # type: ignore[assignment]
    on_train_end: Hook | None = None  # type: ignore[assignment]
    on_train_batch_begin: Hook | None = None  # type: ignore[assignment]
    on_train_batch_end: Hook | None = None  # type: ignore[assignment]
    on_test_begin: Hook | None = None  # type: ignore[assignment]
    on_test_end: Hook | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        for setting in fields(self):
            function = getattr(self, setting.name)
            if function is not None and not callable(function):
                raise TypeError(f"{setting.name} must be a function, got {shown(function)}")
