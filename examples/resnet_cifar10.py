"""ResNet-20 on CIFAR-10 with augmentation (He et al., 2015, arXiv:1512.03385).

    python examples/resnet_cifar10.py FOLDER    the files of CIFAR-10, in binary or Python version
    python examples/resnet_cifar10.py           the same, downloaded once
    python examples/resnet_cifar10.py --quick   1,000 digits in colour, for a look at the mechanics

Run it again after an interruption, and it continues where it was, in the middle of an epoch, with
the same bits as a run that was not interrupted.
"""

import sys

import numpy as np

import deepfs as dfs
from deepfs import augment as A


def coloured_digits():
    """Return digits of `mnist_mini` in random colours, in the form of CIFAR-10: uint8, 32 x 32."""
    rng = np.random.default_rng(0)
    parts = []
    for (x, y), n in zip(dfs.datasets.mnist_mini(), (1_000, 500), strict=True):
        colours = rng.uniform(0.4, 1.0, (n, 3, 1, 1))
        images = np.pad(255 * x[:n] * colours, ((0, 0), (0, 0), (2, 2), (2, 2)))
        parts.append((images.astype(np.uint8), y[:n]))
    return parts


def main(arguments):
    """Train and evaluate; return the accuracy on test images."""
    quick = "--quick" in arguments
    root = next((given for given in arguments if given[0] != "-"), None)
    train, (x_test, y_test) = coloured_digits() if quick else dfs.datasets.cifar10(root, "uint8")
    batch_size, epochs = (50, 3) if quick else (64, 10)

    # Images stay uint8 in memory. One kernel picks a batch, crops, flips and standardises it.
    digits_have_sides = [] if quick else [A.RandomHorizontalFlip()]
    loader = dfs.data.Loader(
        train,
        batch_size=batch_size,
        augment=[A.RandomCrop(padding=2, padding_mode="reflect"), *digits_have_sides],
        preprocess=dfs.preprocessing.Standardize(per="channel"),
        drop_last=True,
    )
    optimizer = dfs.optimizers.Nesterov(dfs.schedules.OneCycle(0.1), weight_decay=5e-4)
    loss = dfs.losses.CrossEntropy(label_smoothing=0.1)
    model = dfs.Model(dfs.networks.resnet20(), loss, optimizer, seed=0)
    model.fit(
        loader,
        epochs=epochs,
        validation_data=(x_test, y_test),
        checkpoint="resnet_cifar10_run",
        checkpoint_every=200,
        resume=True,
    )
    accuracy = model.evaluate(x_test, y_test)["accuracy"]
    print(f"{accuracy:.2%} of {len(y_test)} test images are right")
    return accuracy


if __name__ == "__main__":
    main(sys.argv[1:])
