"""One row per ready-made network: image, parameters, MACs, and what fast tests of it need."""

from typing import NamedTuple

from deepfs import networks


class Case(NamedTuple):
    """A network: its name, image, parameters and multiply-adds; a small image, a small form."""

    name: str
    image: tuple[int, ...]  # of the counts
    parameters: int
    macs: int
    tiny: tuple[int, ...] = ()  # where this is faster
    arguments: dict = {}  # noqa: RUF012 those of a faster form of the same
    classes: bool = True

    @property
    def small(self):
        return self.tiny or self.image

    def make(self, **more):
        """Return the faster form."""
        return getattr(networks, self.name)(**self.arguments, **more)


GREY, COLOUR, TINY = (1, 28, 28), (3, 32, 32), (3, 8, 8)

# Counts of others: torchvision (resnet18, squeezenet), Keras (mobilenet) and the papers are asked
# for their own classes and images, in test_networks. imgclsmob has the ResNets and the DenseNet.
CASES = [
    Case("alexnet_small", COLOUR, 450_154, 20_182_016),
    Case("autoencoder", GREY, 209_968, 208_896, classes=False),
    Case("deep_convnet", GREY, 123_552, 8_772_340),
    Case("densenet_small", COLOUR, 176_122, 72_365_352, TINY),
    Case("inception_small", (3, 28, 28), 1_651_114, 176_297_504, (3, 12, 12)),
    Case("lenet5", GREY, 61_706, 416_520),
    Case("mini_convnet", GREY, 54_778, 1_950_592),
    Case("mlp", GREY, 89_610, 89_400),
    Case("mobilenet_small", COLOUR, 823_722, 12_167_168, (3, 16, 16), {"alpha": 0.125}),
    Case("resnet", COLOUR, 272_474, 40_813_184, TINY, {"depth": 8}),
    Case("resnet18", (3, 224, 224), 11_181_642, 1_813_566_464, (3, 33, 33)),
    Case("resnet20", COLOUR, 272_474, 40_813_184, TINY),
    Case("resnet32", COLOUR, 466_906, 69_124_736, TINY),
    Case("resnet44", COLOUR, 661_338, 97_436_288, TINY),
    Case("resnet56", COLOUR, 855_770, 125_747_840, TINY),
    Case("simple_convnet", GREY, 433_890, 865_000),
    Case("squeezenet_small", COLOUR, 727_626, 23_511_040, (3, 16, 16)),
    Case("two_layer", GREY, 39_760, 39_700),
    Case("unet_small", (1, 32, 32), 117_226, 24_952_832, (1, 8, 8)),
    Case("vgg_small", COLOUR, 1_148_874, 152_766_976, TINY),
]
BY_NAME = {case.name: case for case in CASES}
# at several inputs and in both dtypes, in test_testing
CHECKED = (
    "deep_convnet",
    "lenet5",
    "mini_convnet",
    "mlp",
    "resnet20",
    "simple_convnet",
    "vgg_small",
)
