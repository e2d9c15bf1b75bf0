"""examples/serve.py as a process: its answers, what it refuses, how it stops; gunicorn."""

import http.client
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

import deepfs as dfs

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")
Image = pytest.importorskip("PIL.Image")

SCRIPT = Path(__file__).parents[1] / "examples/serve.py"
CLIENTS, REQUESTS = 16, 2000


@pytest.fixture(scope="module")
def pictures():
    """Return 250 digits as PNG files, and the numbers that the service makes of them."""
    (x, _), _ = dfs.datasets.mnist_mini()
    pixels = np.round(x[:250, 0] * 255).astype(np.uint8)
    files = []
    for image in pixels:
        out = io.BytesIO()
        Image.fromarray(image).save(out, "PNG")
        files.append(out.getvalue())
    return files, pixels[:, None] / np.float32(255)


@pytest.fixture(scope="module")
def models(tmp_path_factory, pictures):
    """Return files of a trained model in float32, and of one in float64, by dtype."""
    folder, files = tmp_path_factory.mktemp("models"), {}
    (x, y), _ = dfs.datasets.mnist_mini()
    names = [f"digit {k}" for k in range(10)]
    for dtype in ("float32", "float64"):
        parts = dfs.networks.mini_convnet(dtype=dtype), "cross_entropy", "adam"
        prepare = dfs.preprocessing.Standardize()
        model = dfs.Model(*parts, class_names=names, preprocess=prepare)
        model.fit(x[:300], y[:300], epochs=1, verbose=0)
        model.save(files.setdefault(dtype, folder / f"{dtype}.safetensors"))
    return files


class Service:
    """A process of serve.py."""

    def __init__(self, model, *options, command=None):
        command = command or [sys.executable, SCRIPT, model, "--port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline().split(":")[2].split("/")[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(self, body, kind="image/png", path="/predict", method="POST"):
        """Return status and answer of one request on a connection of its own."""
        connection = self.connect()
        try:
            return ask(connection, body, kind, path, method)
        finally:
            connection.close()

    def stop(self):
        """Ask it to stop; return its exit code, and what it has printed."""
        self.process.send_signal(signal.SIGTERM)
        printed = self.process.stdout.read()
        return self.process.wait(30), printed


def ask(connection, body, kind="image/png", path="/predict", method="POST"):
    connection.request(method, path, body, {"Content-Type": kind})
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def load(service, files, requests, errors=(), stop=None):
    """Send requests from all clients at once; return the answers by the number of the picture."""
    answers, lock, numbers = [], threading.Lock(), iter(range(requests))

    def client():
        connection = service.connect()
        try:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None or (stop is not None and stop.is_set()):
                    return
                status, answer = ask(connection, files[number % len(files)])
                with lock:
                    answers.append((number % len(files), status, answer))
        except errors:  # the service has stopped
            return
        finally:
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return answers


def compare(answers, wanted, names, exact):
    for number, status, answer in answers:
        assert status == 200, answer
        p = np.array(answer["probabilities"])
        assert answer["class"] == p.argmax()
        assert answer["label"] == names[answer["class"]]
        if exact:
            assert (p == wanted[number]).all()
        else:
            assert np.abs(p - wanted[number]).max() <= 1e-5


@pytest.mark.parametrize(
    ("dtype", "batch", "requests"), [("float32", 32, REQUESTS), ("float64", 32, 320),
                                     ("float32", 1, 320)]
)  # fmt: skip
def test_answers(models, pictures, dtype, batch, requests):
    """In float64, and one by one, they have the bits of `predict`; see docs/numerics.md."""
    files, x = pictures
    model = dfs.load(models[dtype])
    wanted = model.predict_proba(x, batch_size=batch)
    with Service(models[dtype], "--batch", str(batch)) as service:
        answers = load(service, files, requests)
        assert len(answers) == requests
        compare(answers, wanted, model.class_names, exact=dtype == "float64" or batch == 1)
        status, health = service.ask(None, path="/health", method="GET")
        assert (status, health["accepted"], health["answered"]) == (200, requests, requests)
        assert service.stop() == (0, f"answered {requests} of {requests} accepted\n")


def chunk(name, content):
    return (
        struct.pack(">I", len(content)) + name + content
        + struct.pack(">I", zlib.crc32(name + content))
    )  # fmt: skip


def png(width, height, *more, pixels=b""):
    """Return a file of grey pixels, which need not be as many as it says."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(pixels))


def picture(mode="L", size=(28, 28), kind="PNG"):
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return out.getvalue()


@pytest.fixture(scope="module")
def service(models):
    with Service(models["float32"], "--most-bytes", "100000") as service:
        yield service


bomb = png(28, 28, *[chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**22)))] * 20)
HOSTILE = {
    "no picture": (b"GET / HTTP/1.1", "image/png", 422, "no complete PNG file"),
    "nothing": (b"", "image/png", 422, "no complete PNG file"),
    "text": (b"hello", "text/plain", 415, "one of image/png"),
    "another kind": (picture(kind="JPEG"), "image/png", 422, "no complete PNG file"),
    "a kind that is not served": (picture(kind="GIF"), "image/gif", 415, "one of image/png"),
    "cut": (picture()[:-30], "image/png", 422, "no complete PNG file"),
    "without pixels": (png(28, 28), "image/png", 422, "no complete PNG file"),
    "colours": (picture("RGB"), "image/png", 422, "of mode L, got 28x28 of RGB"),
    "transparent": (picture("LA"), "image/png", 422, "of LA"),
    "16 bits": (picture("I;16"), "image/png", 422, "of I;16"),
    "another size": (picture(size=(28, 29)), "image/png", 422, "28x28 pixels"),
    "huge": (bytes(3_000_000), "image/png", 413, "100000 bytes"),
    "pixels of a bomb": (png(2**31 - 1, 2**31 - 1), "image/png", 422, ""),
    "texts of a bomb": (bomb, "image/png", 422, "no complete PNG file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_refuses(service, name):
    body, kind, wanted, words = HOSTILE[name]
    begin = time.perf_counter()
    try:
        status, answer = service.ask(body, kind)
    except (ConnectionError, http.client.RemoteDisconnected):
        assert wanted == 413  # it does not wait for the rest of a body that is too large
        status, answer = 413, {"detail": words}
    assert (status, words in str(answer["detail"])) == (wanted, True), answer
    assert time.perf_counter() - begin < 5
    assert service.ask(picture())[0] == 200


def test_pixels_beyond_the_size_are_not_unpacked(service):
    assert service.ask(png(28, 28, pixels=bytes(90_000_000)))[0] == 200


def test_refuses_other_paths_and_methods(service):
    assert service.ask(None, path="/", method="GET")[0] == 404
    assert service.ask(None, path="/predict", method="GET")[0] == 405


def test_clients_that_hang_or_leave_do_not_hold_up_others(service):
    head = (
        b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\nContent-Length: 5000\r\n"
    )
    hanging = []
    for sent in (b"", head[:40], head + b"\r\n", head + b"\r\n" + bytes(100)):
        for stays in (True, False):
            client = socket.create_connection(("127.0.0.1", service.port))
            client.sendall(sent)
            if stays:
                hanging.append(client)
            else:
                client.close()
    assert service.ask(picture())[0] == 200
    for client in hanging:
        client.close()


def test_stops_under_load_without_losing_an_answer(models, pictures):
    """Each picture that it has accepted is answered, and the client has the answer."""
    files, x = pictures
    model = dfs.load(models["float32"])
    with Service(models["float32"]) as service:
        found, stop = [], threading.Event()
        gone = (ConnectionError, http.client.HTTPException)
        clients = threading.Thread(
            target=lambda: found.extend(load(service, files, 10**6, gone, stop))
        )
        clients.start()
        while service.ask(None, path="/health", method="GET")[1]["answered"] < 200:
            time.sleep(0.01)
        code, printed = service.stop()
        stop.set()
        clients.join(60)
        assert code == 0
        assert printed == f"answered {len(found)} of {len(found)} accepted\n"
        compare(found, model.predict_proba(x), model.class_names, exact=False)


def test_slow_bodies_end(models, monkeypatch):
    """A body of which nothing more comes is refused when its time is over."""
    code = (
        f"import runpy, sys; sys.argv = [{str(SCRIPT)!r}, {str(models['float32'])!r}, '--port', "
        f"'0']; names = runpy.run_path({str(SCRIPT)!r}); "
        "names['main'].__globals__['BODY_SECONDS'] = 0.2; names['main']()"
    )
    with Service(None, command=[sys.executable, "-c", code]) as service:
        client = socket.create_connection(("127.0.0.1", service.port), timeout=20)
        client.sendall(
            b"POST /predict HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n"
            b"Content-Length: 500\r\n\r\nabc"
        )
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")
        client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_gunicorn_with_preload(models, pictures):
    """One load of the model, two processes that share its weights."""
    pytest.importorskip("gunicorn.workers.gasgi")
    files, x = pictures
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        sys.executable, "-m", "gunicorn", "--preload", "-w", "2", "-k", "asgi",
        "-b", f"127.0.0.1:{port}", "--chdir", str(SCRIPT.parent),
        f'serve:service("{models["float32"]}")',
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        service = object.__new__(Service)
        service.port = port
        for _ in range(200):
            try:
                assert service.ask(None, path="/health", method="GET")[0] == 200
                break
            except ConnectionError:
                time.sleep(0.05)
        model = dfs.load(models["float32"])
        compare(load(service, files, 200), model.predict_proba(x), model.class_names, exact=False)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(10)
        process.stdout.close()
