"""The playground: its Python without a browser, and what its page says in two languages."""

import asyncio
import importlib
import json
import re
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "playground"
TRAIN = (PAGE / "train.py").read_text("utf-8").replace("mini_convnet", "mlp")


@pytest.fixture
def playground(monkeypatch):
    monkeypatch.syspath_prepend(str(PAGE))
    for name in ("playground", "insides"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("playground")
    yield module
    for name in ("playground", "insides"):
        sys.modules.pop(name, None)


def told(playground, code, hear=()):
    """Run code; return how it ended and the messages. `hear` is said as soon as it has begun."""
    messages = []

    async def both():
        running = asyncio.ensure_future(playground.run(code))
        for kind, value in hear:
            await asyncio.sleep(0)
            playground.page.hear(kind, value)
        return await running

    playground.connect(lambda kind, message: messages.append((kind, message)))
    return asyncio.run(both()), messages


def values(messages, kind):
    return [message for name, message in messages if name == kind]


def test_trains_and_tells(playground, monkeypatch):
    monkeypatch.setattr(playground, "DRAW", 0.0)
    ended, messages = told(playground, TRAIN.replace("range(10)", "range(2)"))
    assert ended == {"ended": "done"}
    assert values(messages, "rate") == [{"rate": 0.001}]
    points = np.concatenate([m["points"] for m in values(messages, "points")]).reshape(-1, 3)
    assert points[:, 0].tolist() == list(range(1, 201))
    assert points[-1, 1] < points[0, 1] / 3
    first, second = values(messages, "epoch")
    assert (first["step"], second["step"]) == (100, 200)
    assert second["accuracy"] > 0.9
    assert values(messages, "dead")[0]["dead"].keys() == {"relu_1", "relu_2"}
    last = values(messages, "insides")[-1]
    assert np.argmax(last["classes"]) == dfs.datasets.mnist_mini()[1][1][0]
    assert [row["name"] for row in last["layers"]] == [
        "dense_1", "relu_1", "dense_2", "relu_2", "dense_3",
    ]  # fmt: skip
    assert last["filters"]["shape"] == [16, 28, 28]


def test_hears_the_reader_between_steps(playground, monkeypatch):
    monkeypatch.setattr(playground, "LISTEN", 0.0)
    hear = [("pause", None), ("rate", 0.5), ("digit", np.zeros(784)), ("go", None), ("stop", None)]
    ended, messages = told(playground, TRAIN, hear)
    assert ended == {"ended": "stopped"}
    assert playground.page.watched.optimizer.lr == 0.5
    assert playground.page.steps <= 3
    assert values(messages, "insides")[-1]["drawn"]
    playground.page.hear("example", 3)  # after the run, on the same model
    seen = values(messages, "insides")[-1]
    assert not seen["drawn"]
    image = dfs.datasets.mnist_mini()[1][0][3, 0]
    np.testing.assert_array_equal(seen["image"]["pixels"] > 128, image.ravel() > 0.01)


def test_a_paused_run_waits(playground, monkeypatch):
    monkeypatch.setattr(playground, "LISTEN", 0.0)

    told_of = []
    playground.connect(lambda kind, message: told_of.append(kind) if kind == "paused" else None)

    async def paused():
        running = asyncio.ensure_future(playground.run(TRAIN))
        await asyncio.sleep(0)
        playground.page.hear("pause")
        while not told_of:
            await asyncio.sleep(0)
        steps = playground.page.steps
        await asyncio.sleep(0.1)
        assert steps == playground.page.steps
        playground.page.hear("stop")
        return await running

    assert asyncio.run(paused()) == {"ended": "stopped"}


@pytest.mark.parametrize(
    ("code", "lines"),
    [
        ("def f():\n    return 1 / 0\n\nf()\n", ["line 4, in <module>", "f()", "return 1 / 0"]),
        ("x = (\n", ['File "code.py", line 1', "SyntaxError"]),
        ("raise SystemExit(3)", ["SystemExit: 3"]),
        (
            "import asyncio\nawait asyncio.sleep(0)\nopen('nothing')",
            ["line 3", "FileNotFoundError"],
        ),
    ],
)
def test_errors_show_the_lines_of_the_reader(playground, code, lines):
    ended, _ = told(playground, code)
    assert ended["ended"] == "error"
    for line in lines:
        assert line in ended["traceback"]
    assert "playground.py" not in ended["traceback"]


def test_stop_passes_what_catches_every_exception(playground, monkeypatch):
    monkeypatch.setattr(playground, "LISTEN", 0.0)
    code = (
        "from playground import page\n"
        "while True:\n"
        "    try:\n"
        "        await page.step({'loss': 1.0})\n"
        "    except Exception:\n"
        "        pass\n"
    )
    assert told(playground, code, [("stop", None)])[0] == {"ended": "stopped"}


def test_fit_takes_the_page_as_a_callback(playground):
    code = TRAIN.partition("page.watch")[0] + (
        "model.fit(x[:200], y[:200], 50, verbose=0, validation_data=(xt, yt), callbacks=[page])\n"
    )
    ended, messages = told(playground, code)
    assert ended == {"ended": "done"}
    found = Counter(kind for kind, _ in messages)
    assert found["rate"] == found["epoch"] == 1
    assert found["points"] >= 1


def test_a_network_for_other_images_gives_the_reason(playground):
    code = TRAIN.partition("page.watch")[0] + (
        "model.train_on_batch(x[:, :, ::2, ::2], y)\npage.watch(model, xt)\n"
    )
    ended, messages = told(playground, code)
    assert ended == {"ended": "done"}
    assert "196" in values(messages, "insides")[-1]["error"]


def test_a_rate_that_cannot_be_set_is_said(playground, capsys):
    told(playground, TRAIN.partition("rng")[0])
    playground.page.hear("rate", -1.0)
    assert capsys.readouterr().out.startswith("The learning rate stays as it is: ")


def test_an_experiment_is_told_in_both_languages(playground, monkeypatch):
    monkeypatch.setattr(playground, "picture", lambda result: None)  # the browser looks at it
    code = (PAGE / "experiment.py").read_text("utf-8").replace("difference_errors", "tangent_line")
    ended, messages = told(playground, code)
    assert ended == {"ended": "done"}
    (found,) = values(messages, "result")
    assert found["found"]
    assert found["en"]["title"] == dfs.lab.tangent_line.title["en"]
    assert found["zh"]["verdict"] == "结论成立。"


def test_dead_units(playground):
    insides = sys.modules["insides"]
    network = dfs.layers.Sequential([dfs.layers.Conv2D(3, 3), dfs.layers.ReLU()])
    network = dfs.layers.Sequential([network, dfs.layers.Flatten(), dfs.layers.Dense(2)])
    model = dfs.Model(network, dfs.losses.CrossEntropy(), dfs.optimizers.SGD(0.1))
    x = np.random.default_rng(0).random((5, 1, 6, 6))
    model.predict(x)
    bias = network.parameters()["sequential_1.conv2d_1.bias"]
    bias.value = [100.0, -100.0, 100.0]
    assert insides.dead(model, x) == {"sequential_1.relu_1": [1, 3]}
    rows = insides.outputs(model, x[:1])
    assert [(row["name"], row["of"]) for row in rows] == [
        ("sequential_1", [3, 4, 4]), ("dense_1", [2]),
    ]  # fmt: skip


def test_tiles_have_one_scale(playground):
    tiles = sys.modules["insides"].tiles
    found = tiles(np.array([[[0.0, 2.0]], [[-4.0, 1.0]]]))
    assert found["shape"] == [2, 1, 2]
    assert found["pixels"].tolist() == [128, 191, 1, 159]
    assert tiles(np.zeros((1, 1, 1)))["pixels"].tolist() == [128]


# What the page says.


def texts():
    source = (PAGE / "text.js").read_text("utf-8")
    found = {}
    for lang, block in re.findall(r"^  (en|zh): \{\n(.*?)^  \},", source, re.DOTALL | re.MULTILINE):
        found[lang] = dict(re.findall(r'^    (\w+): "(.*)",$', block, re.MULTILINE))
        assert len(found[lang]) == len(block.splitlines())
    return found


def test_languages_have_the_same_texts():
    found = texts()
    assert found["en"].keys() == found["zh"].keys()
    for key, text in found["en"].items():
        blanks, others = (sorted(re.findall(r"\{\w+\}", t)) for t in (text, found["zh"][key]))
        assert blanks == others, key
        assert re.search("[一-鿿]", found["zh"][key]), key


def test_each_text_is_used_and_each_used_one_is_there():
    page = "".join((PAGE / name).read_text("utf-8") for name in ("page.js", "parts.js"))
    keys = texts()["en"].keys()
    html = (PAGE / "index.html").read_text("utf-8")
    named = {*re.findall(r'data-(?:text|label)="(\w+)"', html)}
    named |= {*re.findall(r'(?:\bt|status|restart|failed)\((?:\w+ \? )?"(\w+)"', page)}
    assert named <= keys
    source = html + page
    unused = [key for key in keys if f'"{key}"' not in source and not key.endswith("Axis")]
    assert unused == ["stopped", "done"]  # how a run ended, by the word of playground.py
    ids = {*re.findall(r'\bid="([\w-]+)"', html)}
    assert {*re.findall(r'\bat\("([\w-]+)"\)', page)} <= ids


def test_the_list_of_experiments_is_that_of_the_lab():
    listed = json.loads((PAGE / "experiments.json").read_text("utf-8"))
    titles = [tuple(group["title"].values()) for group in listed]
    assert titles == list(dfs.lab.GROUPS.values()), "python tools/playground.py --experiments"
    names = [name for group in listed for name in group["experiments"]]
    assert names == dfs.lab.names()
    for name in names[::10]:
        title = next(g["experiments"][name] for g in listed if name in g["experiments"])
        assert title == dfs.lab.find(name).title
        assert (ROOT / f"docs/pictures/lab/{name.replace('_', '-')}.png").is_file()


def test_networks_of_the_page_are_bundled():
    listed = re.search(r"NETWORKS = (\[.*?\]);", (PAGE / "page.js").read_text("utf-8"))
    for name in json.loads(listed[1]):
        assert callable(getattr(dfs.networks, name))
        assert name in texts()["en"]
