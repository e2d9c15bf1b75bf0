"""Make the ONNX files of tests/data/onnx, as PyTorch and Keras export them, with their outputs.

    python tools/make_onnx_models.py pytorch FOLDER   # needs torch onnxscript onnxruntime
    python tools/make_onnx_models.py keras FOLDER     # needs tensorflow tf2onnx onnxruntime

Each network is small, has random weights and running statistics, and is written once by each
exporter and operator set that it names. FOLDER/expected_PYTORCH_OR_KERAS.npz has, for each file,
inputs and the outputs of onnxruntime: MAKER_NETWORK/in/INPUT, FILE/out/OUTPUT. The metadata of
exporters, which has paths of the machine, is left out.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

BATCH = 3


def pytorch(folder: Path) -> None:
    """Export networks by both exporters of PyTorch."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Residual(nn.Module):
        """Two convolutions and a shortcut, as in ResNet."""

        def __init__(self, c: int, filters: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(c, filters, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(filters)
            self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(filters)
            self.down = nn.Sequential(nn.Conv2d(c, filters, 1, stride), nn.BatchNorm2d(filters))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
            return functional.relu(y + self.down(x))

    class Gate(nn.Module):
        """Squeeze and excitation, as in MobileNetV3."""

        def __init__(self, c: int) -> None:
            super().__init__()
            self.fc1, self.fc2 = nn.Conv2d(c, 4, 1), nn.Conv2d(4, c, 1)

        def forward(self, x: Any) -> Any:
            s = functional.adaptive_avg_pool2d(x, 1)
            return x * functional.hardsigmoid(self.fc2(functional.relu(self.fc1(s))))

    class View(nn.Module):
        """A flattening that asks for the number of samples."""

        def forward(self, x: Any) -> Any:
            return x.view(x.size(0), -1)

    class Unet(nn.Module):
        """Down and up again, with a skip connection."""

        def __init__(self) -> None:
            super().__init__()
            self.down = nn.Conv2d(2, 6, 3, 2, 1)
            self.norm = nn.GroupNorm(2, 6)
            self.middle = nn.Conv2d(6, 6, 3, padding=2, dilation=2)
            self.up = nn.ConvTranspose2d(6, 4, 4, 2, 1)
            self.slope = nn.PReLU(4)
            self.last = nn.Conv2d(6, 1, 1)

        def forward(self, x: Any) -> Any:
            y = functional.gelu(self.norm(self.down(x)))
            y = functional.leaky_relu(self.middle(y), 0.1)
            y = self.slope(self.up(y))
            y = torch.cat([y, x], 1)
            y = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = functional.interpolate(y, size=(12, 10), mode="bilinear", align_corners=False)
            return torch.sigmoid(self.last(functional.pad(y[:, :, 1:-1, 1:], (1, 1, 0, 2))))

    class Two(nn.Module):
        """Two inputs, a shared layer, two outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.image, self.shared = nn.Linear(12, 5), nn.Linear(5, 5)
            self.number, self.label = nn.Linear(8, 1), nn.Linear(8, 4)

        def forward(self, image: Any, age: Any) -> Any:
            h = torch.tanh(self.shared(functional.elu(self.shared(self.image(image.flatten(1))))))
            h = torch.cat([h, age * 0.5 - 1], dim=1)
            return torch.softmax(self.label(h), -1), self.number(functional.silu(h))

    lenet = nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3), nn.ReLU(),
        nn.AvgPool2d(2, ceil_mode=True), nn.Flatten(), nn.Dropout(0.3), nn.Linear(54, 12),
        nn.SELU(), nn.Linear(12, 5), nn.LogSoftmax(1),
    )  # fmt: skip
    resnet = nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1),
        Residual(4, 6, 2), Residual(6, 6, 1), nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(),
        nn.Linear(6, 5),
    )  # fmt: skip
    mobile = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.BatchNorm2d(8), nn.Hardswish(), Gate(8), nn.Conv2d(8, 6, 1, groups=2),
        nn.Hardtanh(-0.5, 2.0), nn.AdaptiveAvgPool2d(1), View(), nn.Linear(6, 4, bias=False),
    )  # fmt: skip
    sequence = nn.Sequential(
        nn.InstanceNorm1d(2, affine=True), nn.Conv1d(2, 5, 3, padding=1, stride=2),
        nn.BatchNorm1d(5), nn.Softplus(), nn.MaxPool1d(2), nn.ConvTranspose1d(5, 4, 3), nn.Mish(),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(4, 3), nn.LayerNorm(3), nn.Softmax(-1),
    )  # fmt: skip
    cases: list[tuple[str, Any, dict[str, tuple[int, ...]], list[str], list[int]]] = [
        ("lenet", lenet, {"image": (1, 14, 14)}, ["logits"], [13]),
        ("resnet", resnet, {"image": (3, 16, 16)}, ["logits"], [11, 17]),
        ("mobile", mobile, {"image": (3, 12, 12)}, ["logits"], [15]),
        ("unet", Unet(), {"image": (2, 12, 12)}, ["mask"], [18]),
        ("two", Two(), {"image": (3, 2, 2), "age": (3,)}, ["label", "number"], [14]),
        ("sequence", sequence, {"sound": (2, 24)}, ["class"], [17]),
    ]
    expected: dict[str, Any] = {}
    for name, module, inputs, outputs, opsets in cases:
        torch.manual_seed(len(name))
        shake(module)
        module.eval()
        rng = np.random.default_rng(len(name))
        given = {key: sample(rng, shape) for key, shape in inputs.items()}
        arrays = tuple(map(torch.from_numpy, given.values()))
        for opset in [*opsets, 20]:
            dynamo = opset == 20
            path = folder / f"pytorch_{name}_{'dynamo' if dynamo else 'script'}_{opset}.onnx"
            more: dict[str, Any] = {"dynamic_axes": {key: {0: "n"} for key in inputs}}
            if opset == 11:  # with batch norms, which are else folded into convolutions
                more |= {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
            if dynamo:
                batch = torch.export.Dim("n")
                more = {"dynamic_shapes": tuple({0: batch} for _ in inputs), "external_data": False}
            torch.onnx.export(
                module, arrays, path, input_names=[*inputs], output_names=outputs,
                opset_version=opset, dynamo=dynamo, **more,
            )  # fmt: skip
            finish(path, given, expected)
    np.savez_compressed(folder / "expected_pytorch.npz", **expected)


def shake(module: Any) -> None:
    """Give all parameters and running statistics of a module numbers of their own."""
    import torch

    with torch.no_grad():
        for name, array in module.named_parameters():
            if array.ndim == 1:
                array.copy_(torch.rand_like(array) * 0.5 + (0.5 if "weight" in name else -0.25))
            else:
                array.copy_(torch.randn_like(array) * (6 / array[0].numel()) ** 0.5)
        for name, array in module.named_buffers():
            if "running" in name:
                array.copy_(torch.rand_like(array) + 0.5)


def keras(folder: Path) -> None:
    """Export networks of Keras by tf2onnx."""
    import keras as k
    import tensorflow as tf
    import tf2onnx
    from keras import layers as KL

    def convnet() -> Any:
        x = k.Input((12, 12, 3), name="image")
        y = KL.Rescaling(1 / 3, offset=-0.5)(x)
        y = KL.Conv2D(6, 3, strides=2, padding="same")(y)
        y = KL.ReLU(max_value=6.0)(KL.BatchNormalization()(y))
        y = KL.MaxPooling2D(2)(y)
        y = KL.Conv2D(5, 3, padding="same", activation="relu")(y)
        y = KL.Dense(7, activation="elu")(KL.Flatten()(y))
        return k.Model(x, KL.Dense(4, activation="softmax")(KL.Dropout(0.5)(y)))

    def mobilenet() -> Any:
        x = k.Input((16, 16, 3), name="image")
        y = KL.ZeroPadding2D(((0, 1), (0, 1)))(x)
        y = KL.Conv2D(8, 3, strides=2, use_bias=False)(y)
        y = short = KL.ReLU(6.0)(KL.BatchNormalization()(y))
        y = KL.DepthwiseConv2D(3, padding="same", use_bias=False)(y)
        y = KL.Activation("swish")(KL.BatchNormalization()(y))
        y = KL.Add()([short, KL.Conv2D(8, 1)(y)])
        s = KL.GlobalAveragePooling2D(keepdims=True)(y)
        y = KL.Multiply()([y, KL.Conv2D(8, 1, activation="sigmoid")(s)])
        y = KL.SeparableConv2D(6, 3, activation="tanh")(y)
        y = KL.GlobalAveragePooling2D()(KL.LeakyReLU()(y))
        return k.Model(x, KL.Dense(4)(y))

    def unet() -> Any:
        x = k.Input((8, 8, 2), name="image")
        y = KL.AveragePooling2D(2)(KL.PReLU(shared_axes=[1, 2])(KL.Conv2D(4, 3, padding="same")(x)))
        y = KL.UpSampling2D(2)(KL.Conv2DTranspose(3, 3, padding="same")(y))
        y = KL.Concatenate()([y, x])
        return k.Model(x, KL.Conv2D(2, 1, activation="sigmoid")(KL.Cropping2D(1)(y)))

    def mlp() -> Any:
        a, b = k.Input((5,), name="a"), k.Input((4,), name="b")
        shared = KL.Dense(4, activation="selu")
        y = KL.Concatenate()([shared(KL.Dense(4, activation="swish")(a)), shared(b)])
        y = KL.BatchNormalization()(KL.Dense(6, activation="softplus")(y))
        return k.Model([a, b], [KL.Dense(3)(y), KL.Dense(1, activation="tanh")(y)])

    expected: dict[str, Any] = {}
    cases = [("convnet", convnet, 13), ("convnet", convnet, 17), ("mobilenet", mobilenet, 15),
             ("unet", unet, 17), ("mlp", mlp, 18)]  # fmt: skip
    for name, build, opset in cases:
        k.utils.set_random_seed(len(name))
        rng, model = np.random.default_rng(len(name)), build()
        for weight in model.weights:
            if len(weight.shape) == 1:
                middle = 1 if weight.name in ("gamma", "moving_variance") else 0
                weight.assign(rng.uniform(middle - 0.5, middle + 0.5, weight.shape))
            elif len(weight.shape) == 4:
                weight.assign(2 * weight)
        signature = [tf.TensorSpec((None, *t.shape[1:]), tf.float32, name=t.name)
                     for t in model.inputs]  # fmt: skip
        function = tf.function(lambda *arrays, m=model: m([*arrays]), input_signature=signature)
        path = folder / f"keras_{name}_{opset}.onnx"
        tf2onnx.convert.from_function(
            function, input_signature=signature, opset=opset, output_path=str(path)
        )
        arrays = {t.name: sample(rng, t.shape[1:]) for t in model.inputs}
        finish(path, arrays, expected)
    np.savez_compressed(folder / "expected_keras.npz", **expected)


def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Return inputs that compress well."""
    return rng.integers(-8, 9, (BATCH, *shape)).astype(np.float32) / 4


def finish(path: Path, inputs: dict[str, Any], expected: dict[str, Any]) -> None:
    """Drop what a file has beside its network, and keep what onnxruntime computes."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    del model.metadata_props[:], model.graph.metadata_props[:], model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for thing in (*model.graph.node, *model.graph.input, *model.graph.output):
        del thing.metadata_props[:]
        thing.doc_string = ""
    onnx.checker.check_model(model)
    onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options)
    for key, array in inputs.items():  # once for all files of a network
        expected["_".join(path.stem.split("_")[:2]) + f"/in/{key}"] = array
    for value, array in zip(session.get_outputs(), session.run(None, inputs), strict=True):
        expected[f"{path.stem}/out/{value.name}"] = array
        if array.std(axis=0).mean() < 0.005 * np.abs(array).max():
            raise ValueError(f"{path.name} gives nearly the same for all samples: {array}")
    print(f"{path.name}: {path.stat().st_size} bytes, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    {"pytorch": pytorch, "keras": keras}[sys.argv[1]](Path(sys.argv[2]))
