"""Weights of a model: into it and out of it, as arrays and from files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from numpy.typing import ArrayLike

from ._arrays import Array
from ._check import flag
from ._settings import ExplainedSettings
from .layers import Layer

if TYPE_CHECKING:
    from .saving.to_pytorch import Naming
    from .saving.weights import LoadedWeights, Renaming, WeightNames


class ModelWeights(ExplainedSettings):
    """``get_weights``, ``set_weights``, ``load_weights`` and ``save_state_dict`` of a model."""

    network: Layer

    def get_weights(self) -> dict[str, Array]:
        """Return copies of all parameters and buffers of the network by name.

        The optimizer's state is not among them, and neither is where dropout has arrived in its
        random numbers: `save` keeps these.

        Returns
        -------
        dict of array
            A dict by name, as PyTorch's ``state_dict``, in the order of Keras's list:
            ``conv2d_1.weight``, ``batchnorm_1.running_mean``.

        Raises
        ------
        RuntimeError
            If the network is not built, and so has no weights.

        Examples
        --------
        >>> import numpy as np
        >>> import deepfs as dfs
        >>> model = dfs.Model(dfs.layers.Dense(2), "mse", dfs.optimizers.SGD(0.1))
        >>> logs = model.train_on_batch(np.eye(3), np.ones((3, 2)))
        >>> best = model.get_weights()
        >>> logs = model.train_on_batch(np.eye(3), np.ones((3, 2)))
        >>> model.set_weights(best)
        >>> list(best)
        ['weight', 'bias']
        """
        return self.network.get_weights()

    def set_weights(self, weights: Mapping[str, ArrayLike] | Sequence[ArrayLike]) -> None:
        """Set all parameters and buffers of the network; the optimizer's state stays.

        Parameters
        ----------
        weights : dict of array, or sequence of array
            An array for each name that `get_weights` returns, or a list of them in its order.
            Arrays are in the layout of deepfs: the weight of a dense layer is ``(in, out)``.

        Raises
        ------
        RuntimeError
            If the network is not built.
        TypeError, ValueError
            If a name is missing or unknown, or an array is of another shape or no array of numbers.
            Then nothing has changed.

        Examples
        --------
        >>> import numpy as np
        >>> import deepfs as dfs
        >>> model = dfs.Model(dfs.layers.Dense(1), "mse", dfs.optimizers.SGD(0.1))
        >>> model.network.build((2,))
        >>> model.set_weights({"weight": [[1], [2]], "bias": [3]})
        >>> model.predict(np.array([[10.0, 100.0]]))
        array([[213.]], dtype=float32)
        """
        self.network.set_weights(weights)

    def load_weights(
        self,
        path: str | Path,
        mapping: Renaming = None,
        strict: bool = True,
    ) -> LoadedWeights:
        """Read weights into the network, from a file of deepfs or of PyTorch.

        A file of `save` has network, settings and optimizer, and `deepfs.load` makes a model of it.
        This reads only weights, into a network that may be another one.

        Parameters
        ----------
        path : str or Path
            A file that `save` or a checkpoint wrote, or a PyTorch ``state_dict`` as
            ``safetensors.torch.save_file`` writes it. Nothing in a file is executed.
        mapping : dict, function or list, optional
            Which array of the file is which weight. A dict has names of the file and names of the
            network, or the begins of their paths: ``{"fc": "dense_1"}``, ``{"backbone": ""}``; None
            for a name leaves it out. A function takes a name of the file and returns one of the
            network, or None. By default arrays of deepfs go to the weights of the same names; those
            of PyTorch, as far as no dict names them, to modules of the same shapes, in the order of
            the numbers in their names. If that does not settle it, there is an error; then give the
            list ``list(module.state_dict())``, the order in PyTorch, which its files do not keep.
        strict : bool
            Refuse a file unless all weights of the network and all arrays of the file match.
            Otherwise those that match are read, and the result lists the others.

        Returns
        -------
        LoadedWeights
            ``loaded``, a dict from names of the network to names of the file, which prints as a
            table; ``missing_keys`` and ``unexpected_keys``, as PyTorch's ``load_state_dict``
            returns; ``mismatched_keys``, pairs whose shapes differ. Print it for a summary.

        Raises
        ------
        RuntimeError
            If the network is not built.
        FileNotFoundError, CheckpointError
            If there is no such file; if it is damaged, or no safetensors file.
        TypeError, ValueError
            If ``mapping`` is wrong; if the file does not match, with ``strict=False`` if nothing
            does; if an array has another kind of numbers, or some that are not finite. After any
            error nothing has changed.

        Notes
        -----
        From PyTorch, ``weight`` of ``Linear`` is transposed, also after a ``Flatten``; those of
        convolutions, depthwise and transposed ones too, have the same layout. A norm's ``weight``
        and ``bias`` are gamma and beta, ``running_mean`` and ``running_var`` are read,
        ``num_batches_tracked`` is ``batches`` and may be missing. A `SeparableConv2D` is two
        modules. Settings such as ``eps`` are not in such a file. Any float type is converted.

        Preprocessing and class names stay those of this model. A warning tells if the file has a
        preprocessing and this model none that is fitted.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> import deepfs as dfs
        >>> def model(classes):
        ...     net = dfs.networks.mlp((8,), classes)
        ...     net.build((4,))
        ...     return dfs.Model(net, dfs.losses.CrossEntropy(), dfs.optimizers.SGD())
        >>> three = model(3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     model(10).save(f"{folder}/ten.safetensors")
        ...     found = three.load_weights(f"{folder}/ten.safetensors", strict=False)
        >>> print(found)
        2 weights loaded
        of another shape: dense_2.weight, dense_2.bias
        """
        from .saving.weights import load_weights

        preprocess = getattr(self, "preprocess", None)
        return load_weights(self.network, path, mapping, flag(strict, "strict"), preprocess)

    def save_state_dict(self, path: str | Path, mapping: Naming = None) -> WeightNames:
        """Write the weights of the network as a PyTorch ``state_dict``, in a safetensors file.

        In PyTorch, ``module.load_state_dict(safetensors.torch.load_file(path))`` reads it. `save`
        writes a model of deepfs, with network, settings and optimizer.

        Parameters
        ----------
        path : str or Path
            The file. If anything is raised, an earlier file of that name is kept.
        mapping : LoadedWeights, dict or list, optional
            The names there. What `load_weights` returned gives the names of that file. A dict has
            names there and names here, as that of `load_weights`, or the begins of their paths:
            ``{"fc": "dense_1"}``. A list, ``list(module.state_dict())``, has them in the order of
            the network. By default paths are those of deepfs: ``conv2d_1.weight``.

        Returns
        -------
        WeightNames
            A dict from names of the network to names in the file. Print it for a table.

        Raises
        ------
        RuntimeError
            If the network is not built.
        TypeError, ValueError
            If ``mapping`` is wrong, or does not name all weights, each by its own name.
        OSError
            If the file cannot be written.

        Notes
        -----
        The layout is PyTorch's: the weight of a dense layer is ``(out, in)``, gamma and beta are
        ``weight`` and ``bias``, ``batches`` is ``num_batches_tracked``; a `SeparableConv2D` is two
        modules. A layer in several places is written once.

        Examples
        --------
        >>> import tempfile
        >>> import deepfs as dfs
        >>> net = dfs.layers.Sequential([dfs.layers.Dense(4), dfs.layers.BatchNorm()])
        >>> net.build((3,))
        >>> model = dfs.Model(net, "mse", dfs.optimizers.SGD())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     names = model.save_state_dict(f"{folder}/net.safetensors", {"fc": "dense_1"})
        >>> print(names)
        dense_1.weight            fc.weight
        dense_1.bias              fc.bias
        batchnorm_1.gamma         batchnorm_1.weight
        batchnorm_1.beta          batchnorm_1.bias
        batchnorm_1.running_mean  batchnorm_1.running_mean
        batchnorm_1.running_var   batchnorm_1.running_var
        batchnorm_1.batches       batchnorm_1.num_batches_tracked
        """
        from .saving.to_pytorch import save_state_dict

        return save_state_dict(self.network, path, mapping)
