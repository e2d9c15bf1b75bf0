"""Why operators of ONNX are not read, where the reason is more than that there is no such layer."""

from __future__ import annotations

NOT_TENSORS = "deepfs multiplies and adds tensors, and has no other arithmetic of two"
NO_MATHS = "deepfs has no layer for this function"
RECURRENT = "deepfs has no recurrent layers"
CONTROL = "deepfs has no layers with branches or loops that depend on data"
QUANTIZED = "deepfs computes in float32 and float64, not in integers"
INDICES = "deepfs has no layer that chooses entries by index"

REASONS = {
    "LRN": "deepfs has no local response normalization; BatchNorm replaced it",
    "LpPool": "deepfs pools by maximum and mean only",
    "GlobalLpPool": "deepfs pools by maximum and mean only",
    "MaxUnpool": "deepfs has no layer that undoes a max pooling",
    "MaxRoiPool": "deepfs has no layers for regions of images",
    "RoiAlign": "deepfs has no layers for regions of images",
    "DeformConv": "deepfs has no convolution with learned offsets",
    "ThresholdedRelu": "deepfs has no ReLU with a threshold above which it jumps",
    "Softsign": NO_MATHS, "Hardmax": "deepfs has no Hardmax, which has no gradient",
    "Erf": "deepfs has erf in GELU only, x erf(x / sqrt(2)), and no such pattern is around it",
    "Max": NOT_TENSORS, "Min": NOT_TENSORS, "Mod": NOT_TENSORS,
    "ReduceSum": "deepfs reduces pixels by mean and maximum only",
    "ReduceMin": "deepfs reduces pixels by mean and maximum only",
    "MeanVarianceNormalization": "deepfs normalizes by batch, layer, group and instance norm",
    "LpNormalization": "deepfs normalizes by batch, layer, group and instance norm",
    "RMSNormalization": "deepfs normalizes by batch, layer, group and instance norm",
    "LSTM": RECURRENT, "GRU": RECURRENT, "RNN": RECURRENT,
    "Attention": "deepfs has no attention", "Einsum": "deepfs has no Einsum: write MatMul",
    "If": CONTROL, "Loop": CONTROL, "Scan": CONTROL, "Where": CONTROL,
    "QuantizeLinear": QUANTIZED, "DequantizeLinear": QUANTIZED, "QLinearConv": QUANTIZED,
    "QLinearMatMul": QUANTIZED, "ConvInteger": QUANTIZED, "MatMulInteger": QUANTIZED,
    "DynamicQuantizeLinear": QUANTIZED,
    "Gather": INDICES, "GatherElements": INDICES, "GatherND": INDICES, "ScatterElements": INDICES,
    "ScatterND": INDICES, "OneHot": INDICES, "TopK": INDICES, "ArgMin": INDICES,
    "ArgMax": "the class of the largest output: drop the node, model.predict_classes does this",
    "Split": "deepfs has no layer that takes some channels; Crop2D cuts pixels",
    "DepthToSpace": "deepfs has no layer that turns channels into pixels",
    "SpaceToDepth": "deepfs has no layer that turns pixels into channels",
    "Upsample": "it belongs to ONNX operator sets below 10: export the model with a later one",
}  # fmt: skip
