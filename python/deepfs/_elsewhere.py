"""Names of Keras, PyTorch and scikit-learn that deepfs has under another name, or does not have."""

from __future__ import annotations

import dis
import importlib
import sys
from collections.abc import Collection
from types import FrameType

from ._names import FREEZE, hint

MODULES = (
    "layers", "losses", "optimizers", "schedules", "regularizers", "initializers", "metrics",
    "callbacks", "networks", "datasets", "testing", "augment", "preprocessing", "data",
)  # fmt: skip

OWN_LAYER = "derive a class from deepfs.layers.Layer, see docs/add_a_layer.md"
ACTIVATION = "activations are layers, such as deepfs.layers.ReLU()"
CHECKPOINT = "call fit(checkpoint=folder)"
NO_SUCH = "deepfs has no such layer; " + OWN_LAYER

# Classes and functions by the names that others give them: where they are, or what to do instead.
FOREIGN: dict[str, str] = {
    # data
    "Normalization": "preprocessing.Standardize",
    "Rescaling": "preprocessing.Rescale",
    "StandardScaler": "preprocessing.Standardize",
    "cross_val_score": "call deepfs.cross_validate",
    # layers
    "Activation": ACTIVATION,
    "ActivityRegularization": "give the optimizer a Group(names, regularizer=...)",
    "AdaptiveAvgPool1d": "layers.GlobalAvgPool1D, for an output of 1",
    "AdaptiveAvgPool2d": "layers.AdaptiveAvgPool2D",
    "AdaptiveMaxPool1d": "layers.GlobalMaxPool1D, for an output of 1",
    "AdaptiveMaxPool2d": "layers.GlobalMaxPool2D, for an output of 1",
    "AveragePooling1D": "layers.AvgPool1D",
    "AveragePooling2D": "layers.AvgPool2D",
    "AvgPool1d": "layers.AvgPool1D",
    "AvgPool2d": "layers.AvgPool2D",
    "BatchNorm1d": "layers.BatchNorm",
    "BatchNorm2d": "layers.BatchNorm",
    "BatchNormalization": "layers.BatchNorm",
    "Concatenate": "layers.Concat",
    "Conv1d": "layers.Conv1D",
    "Conv2DTranspose": "layers.ConvTranspose2D",
    "Conv2d": "layers.Conv2D",
    "ConvTranspose2d": "layers.ConvTranspose2D",
    "Convolution1D": "layers.Conv1D",
    "Convolution2D": "layers.Conv2D",
    "Cropping1D": "layers.Crop1D",
    "Cropping2D": "layers.Crop2D",
    "Deconvolution2D": "layers.ConvTranspose2D",
    "Conv3D": NO_SUCH,
    "Conv3d": NO_SUCH,
    "DepthwiseConv2d": "layers.DepthwiseConv2D",
    "Dropout1d": "layers.SpatialDropout",
    "Dropout2d": "layers.SpatialDropout",
    "Embedding": NO_SUCH,
    "FullyConnected": "layers.Dense",
    "GlobalAveragePooling1D": "layers.GlobalAvgPool1D",
    "GlobalAveragePooling2D": "layers.GlobalAvgPool2D",
    "GlobalMaxPooling1D": "layers.GlobalMaxPool1D",
    "GlobalMaxPooling2D": "layers.GlobalMaxPool2D",
    "GRU": NO_SUCH,
    "GroupNormalization": "layers.GroupNorm",
    "Hardswish": "layers.HardSwish",
    "Hardtanh": "layers.Clip, with the limits -1 and 1",
    "Heaviside": "layers.Step",
    "InputLayer": "layers.Input",
    "InstanceNorm1d": "layers.InstanceNorm",
    "InstanceNorm2d": "layers.InstanceNorm",
    "InstanceNormalization": "layers.InstanceNorm",
    "LSTM": NO_SUCH,
    "Lambda": OWN_LAYER,
    "LayerNormalization": "layers.LayerNorm",
    "Linear": "layers.Dense",
    "MaxPool1d": "layers.MaxPool1D",
    "MaxPool2d": "layers.MaxPool2D",
    "MaxPooling1D": "layers.MaxPool1D",
    "MaxPooling2D": "layers.MaxPool2D",
    "Module": "layers.Layer",
    "ModuleDict": "layers.Branches",
    "ModuleList": "layers.Sequential",
    "MultiHeadAttention": NO_SUCH,
    "NoOp": "layers.Identity",
    "ReLU6": "layers.Clip, with the limits 0 and 6",
    "Resizing": "layers.Resize2D",
    "SeparableConv2d": "layers.SeparableConv2D",
    "SeparableConvolution2D": "layers.SeparableConv2D",
    "Softmax2d": "layers.Softmax",
    "SpatialDropout1D": "layers.SpatialDropout",
    "SpatialDropout2D": "layers.SpatialDropout",
    "Swish": "layers.SiLU",
    "Unflatten": "layers.Reshape",
    "UpSampling1D": "layers.Upsample1D",
    "UpSampling2D": "layers.Upsample2D",
    "Upsample": "layers.Upsample2D",
    "UpsamplingNearest2d": "layers.Upsample2D",
    "ZeroPad1d": "layers.ZeroPad1D",
    "ZeroPad2d": "layers.ZeroPad2D",
    "ZeroPadding1D": "layers.ZeroPad1D",
    "ZeroPadding2D": "layers.ZeroPad2D",
    "relu": "layers.ReLU",
    "sigmoid": "layers.Sigmoid",
    "softmax": "layers.Softmax",
    "tanh": "layers.Tanh",
    # losses
    "BCELoss": "losses.BinaryCrossEntropy, which takes logits",
    "BCEWithLogitsLoss": "losses.BinaryCrossEntropy",
    "BinaryCrossentropy": "losses.BinaryCrossEntropy",
    "CategoricalCrossentropy": "losses.CrossEntropy",
    "CrossEntropyLoss": "losses.CrossEntropy",
    "HuberLoss": "losses.Huber",
    "L1Loss": "losses.MeanAbsoluteError",
    "MAE": "losses.MeanAbsoluteError",
    "MSE": "losses.MeanSquaredError",
    "MSELoss": "losses.MeanSquaredError",
    "NLLLoss": "losses.NegativeLogLikelihood",
    "SmoothL1Loss": "losses.Huber",
    "SoftmaxCrossEntropy": "losses.CrossEntropy",
    "SparseCategoricalCrossentropy": "losses.CrossEntropy",
    # optimizers
    "AdaMax": "optimizers.Adamax",
    "Adadelta": "optimizers.AdaDelta",
    "Adagrad": "optimizers.AdaGrad",
    "Lamb": "optimizers.LAMB",
    "Nadam": "optimizers.NAdam",
    "RMSprop": "optimizers.RMSProp",
    # schedules
    "CosineAnnealingLR": "schedules.Cosine",
    "CosineAnnealingWarmRestarts": "schedules.CosineRestarts",
    "CosineDecay": "schedules.Cosine",
    "CosineDecayRestarts": "schedules.CosineRestarts",
    "ExponentialDecay": "schedules.Exponential",
    "ExponentialLR": "schedules.Exponential",
    "InverseTimeDecay": "schedules.InverseTime",
    "LambdaLR": "schedules.Function",
    "LearningRateSchedule": "schedules.Schedule",
    "LinearLR": "schedules.Warmup",
    "MultiStepLR": "schedules.MultiStep",
    "OneCycleLR": "schedules.OneCycle",
    "PiecewiseConstantDecay": "schedules.MultiStep",
    "PolynomialDecay": "schedules.Polynomial",
    "PolynomialLR": "schedules.Polynomial",
    "ReduceLROnPlateau": "schedules.Plateau",
    "StepLR": "schedules.Step",
    # regularizers, initializers
    "L1L2": "regularizers.ElasticNet",
    "l1": "regularizers.L1",
    "l1_l2": "regularizers.ElasticNet",
    "l2": "regularizers.L2",
    "max_norm": "regularizers.MaxNorm",
    "KaimingNormal": "initializers.HeNormal",
    "KaimingUniform": "initializers.HeUniform",
    "RandomNormal": "initializers.Normal",
    "RandomUniform": "initializers.Uniform",
    "XavierNormal": "initializers.GlorotNormal",
    "XavierUniform": "initializers.GlorotUniform",
    "dirac_": "initializers.Dirac",
    "kaiming_normal_": "initializers.HeNormal",
    "kaiming_uniform_": "initializers.HeUniform",
    "xavier_normal_": "initializers.GlorotNormal",
    "xavier_uniform_": "initializers.GlorotUniform",
    # metrics
    "Accuracy": "metrics.accuracy",
    "BinaryAccuracy": "metrics.binary_accuracy",
    "CategoricalAccuracy": "metrics.accuracy",
    "SparseCategoricalAccuracy": "metrics.accuracy",
    "TopKCategoricalAccuracy": "metrics.TopKAccuracy",
    "accuracy_score": "metrics.accuracy",
    "sparse_categorical_accuracy": "metrics.accuracy",
    # callbacks
    "AveragedModel": "callbacks.SWA",
    "BackupAndRestore": CHECKPOINT,
    "EarlyStoppingCallback": "callbacks.EarlyStopping",
    "ExponentialMovingAverage": "callbacks.EMA",
    "History": "fit returns it, model.history has it",
    "ProgbarLogger": "call fit(verbose=1)",
    "SaveModelCallback": "callbacks.ModelCheckpoint",
    # augmentation
    "Compose": "give a list of transforms",
    "Mixup": "augment.MixUp",
    "RandomBrightness": "augment.ColorJitter",
    "RandomContrast": "augment.ColorJitter",
    "RandomErasing": "augment.Cutout",
    "RandomFlip": "augment.RandomHorizontalFlip",
    "RandomRotation": "augment.RandomAffine",
    "RandomTranslation": "augment.RandomAffine",
    "RandomZoom": "augment.RandomAffine",
    "Cutmix": "augment.CutMix",
    # the package
    "DataBlock": "data.Loader, of datasets.from_directory(folder, image_size)",
    "DataLoader": "data.Loader",
    "DataLoaders": "data.Loader",
    "Dataset": "data.Loader, which takes anything with len and indices",
    "ImageDataGenerator": "data.Loader, whose augment= takes deepfs.augment",
    "ImageDataLoaders": "data.Loader, of datasets.from_directory(folder, image_size)",
    "TensorDataset": "data.Loader, of a tuple (x, y)",
    "flow_from_directory": "datasets.from_directory",
    "image_dataset_from_directory": "datasets.from_directory",
    "lr_find": "call model.lr_find(x, y)",
    "DatasetFolder": "datasets.ImageFolder",
    "Functional": "layers.Graph",
    "activations": ACTIVATION,
    "applications": "deepfs.networks has networks",
    "functional": "deepfs.layers and deepfs.losses have classes",
    "keras": "deepfs.layers, deepfs.losses and deepfs.optimizers have what is in keras",
    "load_model": "call deepfs.load(path)",
    "manual_seed": "call deepfs.set_seed(seed)",
    "models": "deepfs.Model and deepfs.networks",
    "nn": "deepfs.layers has layers, deepfs.losses losses",
    "no_grad": "layer(x) and model.predict(x) keep nothing for a backward pass",
    "optim": "deepfs.optimizers has optimizers, deepfs.schedules schedules",
    "random_seed": "call deepfs.set_seed(seed)",
    "save": "call model.save(path)",
    "save_model": "call model.save(path)",
    "seed": "call deepfs.set_seed(seed)",
    "set_random_seed": "call deepfs.set_seed(seed)",
    "tensor": "deepfs takes NumPy arrays",
    "Tensor": "deepfs takes NumPy arrays",
    "Variable": "layers.Parameter",
}

MODEL = "make a model, deepfs.Model(network, loss, optimizer), which has it"
VALUES = "parameters() has them by name, parameters()[name].value"
BUFFERS = "buffers() has it, buffers()[name]"
MODE = "training is an argument, forward(x, training=True); layer(x) is inference"
LIST = "assign the whole, net.layers = [*net.layers, layer]"
DTYPE = 'the dtype is chosen when a layer is made, dtype="float64"'
# Attributes of layers elsewhere, and what to do here.
LAYER_WAYS: dict[str, str] = {
    "add": LIST,
    "add_weight": "call add_parameter in _build",
    "append": LIST,
    "children": "a container has named_parts(), and Sequential layers",
    "compile": MODEL,
    "count_params": "Model.summary counts; parameters() has them by name",
    "cpu": "deepfs computes on CPUs",
    "cuda": "deepfs computes on CPUs",
    "double": DTYPE,
    "eval": MODE,
    "evaluate": MODEL,
    "extend": LIST,
    "fit": MODEL,
    "get_layer": "net[name] is a part by its name",
    "get_submodule": "net[name] is a part by its name",
    "half": DTYPE,
    "input_shape": "in_shape is the input's, without the batch",
    "insert": LIST,
    "kernel": VALUES,
    "load_state_dict": "call set_weights(arrays), or load_weights(path) of a model",
    "load_weights": "a Model has it: Model(network, loss, optimizer).load_weights(path)",
    "modules": "a container has named_parts(), and Sequential layers",
    "moving_mean": BUFFERS,
    "moving_variance": BUFFERS,
    "named_children": "named_parts() of a container",
    "named_modules": "named_parts() of a container",
    "named_parameters": "parameters() is a dict by name: parameters().items()",
    "output_shape": "out_shape(in_shape) is the output's, without the batch",
    "pop": "assign the rest, net.layers = net.layers[:-1]",
    "predict": MODEL,
    "register_buffer": "call add_buffer in _build",
    "register_parameter": "call add_parameter in _build",
    "requires_grad": FREEZE,
    "requires_grad_": FREEZE,
    "running_mean": BUFFERS,
    "running_var": BUFFERS,
    "save": MODEL,
    "save_weights": MODEL,
    "state_dict": "call get_weights()",
    "summary": MODEL,
    "to": "deepfs computes on CPUs; " + DTYPE,
    "train": MODE,
    "trainable": FREEZE,
    "trainable_variables": VALUES,
    "trainable_weights": VALUES,
    "training": MODE,
    "variables": VALUES,
    "weight": VALUES,
    "weights": VALUES,
}
# The same of parameters.
PARAMETER_WAYS: dict[str, str] = {
    "assign": "assign parameter.value = array",
    "copy_": "assign parameter.value = array",
    "data": "it is called 'value' here",
    "detach": "its array is parameter.value",
    "dtype": "its array is parameter.value, parameter.value.dtype",
    "gradient": "it is called 'grad' here",
    "item": "its array is parameter.value",
    "numel": "it is called 'size' here",
    "numpy": "its array is parameter.value",
    "requires_grad": FREEZE,
    "tolist": "its array is parameter.value",
    "trainable": FREEZE,
}
# The same of optimizers.
OPTIMIZER_WAYS: dict[str, str] = {
    "add_param_group": "assign optimizer.groups = [*optimizer.groups, Group(...)]",
    "apply_gradients": "call step(network), or update(params, grads) with dicts",
    "iterations": "a model counts them: model.steps",
    "learning_rate": "it is called 'lr' here",
    "load_state_dict": "deepfs.load reads a model with its optimizer",
    "minimize": "call step(network), or update(params, grads) with dicts",
    "param_groups": "assign optimizer.lr; groups of parameters are 'groups'",
    "state_dict": "model.save writes it, copy.deepcopy copies an optimizer",
    "zero_grad": "call network.zero_grad()",
}
# The same of schedules.
SCHEDULE_WAYS: dict[str, str] = {
    "get_last_lr": "optimizer.rate(t, epoch) is the rate of step t",
    "get_lr": "optimizer.rate(t, epoch) is the rate of step t",
    "state_dict": "model.save writes it with the optimizer",
    "step": "the optimizer counts steps; in a loop of your own call optimizer.end_epoch(logs)",
}
# The same of a model.
MODEL_WAYS: dict[str, str] = {
    "add": "add layers to the network: model.network.layers = [*model.network.layers, layer]",
    "add_loss": "derive a loss, or give the optimizer a Group(names, regularizer=function)",
    "backward": "call train_on_batch(x, y), or backward of the network",
    "cpu": "deepfs computes on CPUs",
    "compile": "write Model(network, loss, optimizer, metrics)",
    "count_params": "summary() counts",
    "cuda": "deepfs computes on CPUs",
    "eval": "predict and evaluate are inference, fit and train_on_batch training",
    "fit_generator": "call fit",
    "forward": "call predict(x), or forward of the network",
    "freeze": "call model.network.freeze(until=name)",
    "get_layer": "model.network[name] is a part by its name",
    "load_state_dict": "call set_weights(arrays), or load_weights(path)",
    "partial_fit": "call train_on_batch(x, y)",
    "pop": "shorten the network: model.network.layers = model.network.layers[:-1]",
    "predict_on_batch": "call predict(x)",
    "save_weights": "call save(path)",
    "score": "call evaluate(x, y)",
    "state_dict": "call get_weights(), save(path), or save_state_dict(path) for PyTorch",
    "test_on_batch": "call evaluate(x, y)",
    "to": "deepfs computes on CPUs",
    "train": "predict and evaluate are inference, fit and train_on_batch training",
    "train_step": "call train_on_batch(x, y)",
    "unfreeze": "call model.network.unfreeze()",
    "trainable": FREEZE,
    "weights": "model.network.parameters() has them by name",
    "zero_grad": "train_on_batch does it; model.network.zero_grad()",
}


def absent(module: str, name: str, known: Collection[str]) -> Exception:
    """Return the error for a name that a module does not have, with deepfs's name for it.

    Call it in the ``__getattr__`` of the module. It is an AttributeError, and in the statement
    ``from module import name`` an ImportError, because that statement drops the text of the other.
    """
    frame = sys._getframe(1).f_back  # None if C calls, such as a new thread
    message = f"module {module!r} has no attribute {name!r}"
    asks = frame.f_globals.get("__name__", "") if frame else ""
    if name[0] == "_" or asks.startswith("importlib."):
        return AttributeError(message)  # Python looks whether it is there
    message += found_elsewhere(module, name) or hint(name, known)
    return (ImportError if frame and imports_from(frame) else AttributeError)(message)


def explain_absent(module: str) -> None:
    """Let a module explain the names that it does not have.

    A type checker does not see this ``__getattr__``, so it goes on reporting wrong names.
    """
    names = vars(sys.modules[module])

    def explain(name: str) -> None:
        raise absent(module, name, names["__all__"])

    names["__getattr__"] = explain


def found_elsewhere(module: str, name: str) -> str:
    """Return the end of a message about a name that stands in another module, or is foreign."""
    way = FOREIGN.get(name)
    if name == "get":  # several have one
        return ""
    if way is None:
        home = next((m for m in MODULES if f"deepfs.{m}" != module and has(m, name)), None)
        return f": it is deepfs.{home}.{name}" if home else ""
    home, _, here = way.partition(".")
    if home not in MODULES or not has(home, here.partition(",")[0]):
        return f": {way}" if home not in MODULES else ""
    if f"deepfs.{home}" == module:
        return f": it is called {here} here"
    return f": it is called deepfs.{way}"


def has(module: str, name: str) -> bool:
    """Return whether a public module has a public name."""
    return name in importlib.import_module(f"deepfs.{module}").__all__


def imports_from(frame: FrameType) -> bool:
    """Return whether a frame runs ``from module import name`` just now."""
    code, at = frame.f_code.co_code, frame.f_lasti
    return 0 <= at < len(code) and dis.opname[code[at]] == "IMPORT_FROM"
