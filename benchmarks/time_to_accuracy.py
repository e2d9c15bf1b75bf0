"""Seconds that a recipe takes to its accuracy, and those of PyTorch with the same recipe.

    python benchmarks/time_to_accuracy.py mnist                         # target 0.99, five seeds
    python benchmarks/time_to_accuracy.py cifar10 --seeds 0 1 2
    python benchmarks/time_to_accuracy.py cifar10 --peer-epochs 2       # PyTorch: 2 epochs, scaled

Each training is a process of its own; the frameworks take turns. The time is that of `fit`:
batches, augmentation, whitening, steps. PyTorch gets the same initial weights, the same batches,
made by deepfs's Loader, the same rates and groups, in the faster of its layouts, channels_last;
``--peer none`` leaves it out. ``--data FOLDER`` has the files of the data set.
"""

import argparse
import copy
import json
import subprocess
import sys
import time
from statistics import mean

import numpy as np

import deepfs as dfs

SETS = ("mnist", "fashion_mnist", "cifar10")


def data_of(name, root):
    """Return training and test images; those in colours stay uint8."""
    return getattr(dfs.datasets, name)(root, "uint8" if name == "cifar10" else "float32")


def with_deepfs(recipe, train, test, seed, epochs):
    """Return seconds and accuracy."""
    recipe.epochs = epochs or recipe.epochs
    started = time.perf_counter()
    model = recipe.fit(*train, seed=seed, verbose=0)
    seconds = time.perf_counter() - started
    return seconds, model.evaluate(*test, views=recipe.views)["accuracy"]


def module(layer, values, parameters, name):
    """Return a layer of deepfs as a module of PyTorch with its values; note its parameters."""
    from torch import from_numpy, nn

    def inner(part):
        names = [f"{name}.{key}".lstrip(".") for key in part.named_parts()]
        parts = part.named_parts().values()
        return nn.Sequential(
            *(module(p, values, parameters, n) for p, n in zip(parts, names, strict=True))
        )

    match type(layer).__name__:
        case "Sequential":
            return inner(layer)
        case "Residual":

            class Residual(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = inner(layer)

                def forward(self, x):
                    return x + self.body(x)

            return Residual()
        case "ReLU":
            return nn.ReLU(inplace=True)
        case "GELU":
            return nn.GELU()
        case "Flatten":
            return nn.Flatten()
        case "AvgPool2D":
            return nn.AvgPool2d(layer.kernel_size)
        case "MaxPool2D":
            return nn.MaxPool2d(layer.kernel_size)
        case "GlobalMaxPool2D":
            return nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())
        case "BatchNorm":
            made = nn.BatchNorm2d(len(values[f"{name}.gamma"]), layer.eps, 1 - layer.momentum)
        case "Conv2D":
            co, ci, *size = values[f"{name}.weight"].shape
            same = layer.padding if layer.padding == "same" else 0
            made = nn.Conv2d(ci, co, size, padding=same, bias=f"{name}.bias" in values)
        case "Dense":
            made = nn.Linear(*values[f"{name}.weight"].shape, bias=f"{name}.bias" in values)
        case kind:
            raise NotImplementedError(f"{kind} has no module here")
    for key in layer.parameters():
        value = values[f"{name}.{key}"]
        tensor = getattr(made, {"gamma": "weight", "beta": "bias"}.get(key, key))
        turned = np.ascontiguousarray(value.T if value.ndim == 2 else value)
        tensor.data.copy_(from_numpy(turned.copy()))
        parameters[f"{name}.{key}"] = tensor
    return made


def muon(groups, filters, settings):
    """Return Muon for filters and AdamW for all else, as PyTorch's optimizers.

    `torch.optim.Muon` takes matrices only, so this is the same iteration for filters as rows.
    """
    import torch

    class Muon(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self):
            for group in self.param_groups:
                for w in group["params"]:
                    m = self.state[w].setdefault("m", torch.zeros_like(w))
                    m.mul_(settings.momentum).add_(w.grad)
                    x = (w.grad + settings.momentum * m).flatten(1)
                    x = x / x.norm()
                    rows, columns = x.shape
                    x = x.T if rows > columns else x
                    for _ in range(settings.steps):
                        gram = x @ x.T
                        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
                    x = (x.T if rows > columns else x).reshape(w.shape)
                    w.mul_(1 - group["lr"] * group["weight_decay"])
                    w.sub_(x, alpha=group["lr"] * max(1, rows / columns) ** 0.5)

    theirs = [g for g in groups if not filters(g["params"][0])]
    for group in theirs:  # its decay is that of Muon's rate
        group["weight_decay"] /= settings.adam_scale
        group["scale"] *= settings.adam_scale
    return [
        Muon([g for g in groups if filters(g["params"][0])], {"lr": 1.0}),
        torch.optim.AdamW(
            theirs, lr=1.0, betas=(settings.beta1, settings.beta2), eps=settings.eps, fused=True
        ),
    ]


def with_torch(recipe, train, test, seed, epochs):
    """Return seconds and accuracy of PyTorch; of so many epochs, if the recipe is cut short."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(dfs.get_num_threads())
    started = time.perf_counter()
    preprocess = copy.deepcopy(recipe.preprocess)
    if preprocess is not None:
        preprocess.fit(train[0])
    network = recipe.network(preprocess(train[0][:5000]) if preprocess else train[0][:5000])
    network.build(train[0].shape[1:])
    values, parameters = {name: p.value for name, p in network.parameters().items()}, {}
    layout = torch.channels_last
    net = module(network, values, parameters, "").to(memory_format=layout).train()
    loader = dfs.data.Loader(
        train, recipe.batch_size, augment=recipe.augment, preprocess=preprocess,
        drop_last=recipe.drop_last,
    )  # fmt: skip
    groups = []
    for name, tensor in parameters.items():
        scale, frozen, decay = 1.0, False, recipe.optimizer.weight_decay if tensor.ndim > 1 else 0.0
        for group in recipe.optimizer.groups:
            if group.matches(name):
                scale = scale if group.lr_scale is None else group.lr_scale
                frozen = frozen if group.frozen is None else group.frozen
                decay = group.regularizer.rate if group.regularizer is not None else decay
        tensor.requires_grad_(not frozen)
        if not frozen:
            groups.append({"params": [tensor], "weight_decay": decay, "lr": 1.0, "scale": scale})
    match type(recipe.optimizer).__name__:
        case "Muon":
            optimizers = muon(groups, lambda tensor: tensor.ndim == 4, recipe.optimizer)
        case "Adam":
            optimizers = [torch.optim.Adam(groups, lr=1.0, fused=True)]
        case kind:
            raise NotImplementedError(f"{kind} has no optimizer here")
    if recipe.callbacks is not None:
        raise NotImplementedError("callbacks have no counterpart here")
    steps = recipe.epochs * len(loader)
    rates = copy.deepcopy(recipe.schedule)
    rates.total = steps
    step, smoothing = 0, recipe.loss.label_smoothing
    for _ in range(epochs or recipe.epochs):
        for x, y in loader:
            images = torch.from_numpy(x).contiguous(memory_format=layout)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = rates(step) * group["scale"]
                optimizer.zero_grad(set_to_none=True)
            labels = torch.from_numpy(y.astype(np.int64))
            functional.cross_entropy(net(images), labels, label_smoothing=smoothing).backward()
            for optimizer in optimizers:
                optimizer.step()
            step += 1
    seconds = time.perf_counter() - started
    net.eval()

    def outputs(x):
        with torch.no_grad():
            return net(torch.from_numpy(x).contiguous(memory_format=layout)).numpy()

    right = 0
    for first in range(0, len(test[0]), 256):
        x = test[0][first : first + 256]
        x = np.ascontiguousarray(preprocess(x) if preprocess else x, np.float32)
        y = outputs(x) if recipe.views is None else recipe.views(
            lambda v: outputs(np.ascontiguousarray(v)), x
        )  # fmt: skip
        right += int((y.argmax(axis=1) == test[1][first : first + 256]).sum())
    return seconds, right / len(test[0])


def work(options):
    """Train once, and print seconds and accuracy as JSON."""
    dfs.set_num_threads(options.threads)
    dfs.set_seed(options.worker)
    recipe = getattr(dfs.recipes, options.dataset)(options.target)
    run = {"deepfs": with_deepfs, "torch": with_torch}[options.framework]
    train, test = data_of(options.dataset, options.data)
    print(json.dumps(run(recipe, train, test, options.worker, options.epochs)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", choices=SETS)
    parser.add_argument("--target", type=float, help="accuracy; the recipe's least by default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--threads", type=int, default=dfs.get_num_threads())
    parser.add_argument("--peer", choices=("torch", "none"), default="torch")
    parser.add_argument("--peer-epochs", type=int, help="of PyTorch; its time is scaled to all")
    parser.add_argument("--data", help="folder with the files of the data set")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--framework", default="deepfs", help=argparse.SUPPRESS)
    parser.add_argument("--epochs", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    make = getattr(dfs.recipes, options.dataset)
    options.target = options.target or make.__defaults__[0]
    if options.worker is not None:
        return work(options)
    recipe = make(options.target)
    epochs, augment = recipe.epochs, recipe.augment
    every = augment if isinstance(augment, (list, tuple)) else [augment]
    if options.peer_epochs and any(isinstance(e, dfs.augment.ProgressiveResizing) for e in every):
        parser.error("the first epochs have smaller images: leave out --peer-epochs")
    print(f"{options.dataset}, target {options.target}, {epochs} epochs, {options.threads} threads")
    peers = ["deepfs"] if options.peer == "none" else ["deepfs", "torch"]
    found = {name: [] for name in peers}
    for seed in options.seeds:
        for name in peers:
            cut = options.peer_epochs if name == "torch" else None
            command = [sys.executable, __file__, options.dataset, f"--target={options.target}",
                       f"--threads={options.threads}", f"--worker={seed}", f"--framework={name}",
                       *([f"--data={options.data}"] if options.data else []),
                       *([f"--epochs={cut}"] if cut else [])]  # fmt: skip
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
            if answer.returncode:
                sys.exit(f"{name}, seed {seed}:\n{answer.stderr}")
            seconds, accuracy = json.loads(answer.stdout.splitlines()[-1])
            seconds *= epochs / cut if cut else 1
            found[name].append((seconds, accuracy))
            told = "cut short" if cut else f"{accuracy:.2%}"
            print(f"seed {seed}  {name:<7} {seconds:8.1f} s  {told}", flush=True)
    for name, rows in found.items():
        seconds, accuracies = zip(*rows, strict=True)
        cut = name == "torch" and options.peer_epochs
        told = "cut short" if cut else f"{mean(accuracies):.2%}"
        print(f"mean    {name:<7} {mean(seconds):8.1f} s  {told}")
    if len(peers) > 1:
        ratios = [t[0] / d[0] for d, t in zip(found["deepfs"], found["torch"], strict=True)]
        print(f"deepfs is {mean(ratios):.2f} times as fast")


if __name__ == "__main__":
    main()
