"""python serve.py MODEL.safetensors: answer pictures over HTTP with a model that deepfs has saved.

    pip install 'deepfs[serve]'
    python serve.py model.safetensors --port 8000
    curl --data-binary @3.png -H 'Content-Type: image/png' http://127.0.0.1:8000/predict

POST /predict takes the bytes of one PNG or JPEG file and returns its class and the probabilities;
GET /health says how many pictures were accepted and answered. Pictures that arrive within --wait
milliseconds are one batch. SIGTERM stops it: it answers what it has accepted, then exits with 0.
Several processes: gunicorn --preload -w 2 -k asgi 'serve:service("model.safetensors")'.
"""

import argparse
import asyncio
import contextlib
import io
import signal
import socket
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from PIL import Image, PngImagePlugin
from starlette.requests import ClientDisconnect

import deepfs as dfs

KINDS = {"image/png": "PNG", "image/jpeg": "JPEG"}
MODES = {1: "L", 3: "RGB"}  # channels of the model: how Pillow calls such pixels
BODY_SECONDS = 10  # in which a client must have sent its picture
STOP_SECONDS = 30  # for answers that are under way when the service stops

# Pillow warns of large pictures, and unpacks the texts in a PNG: `read_picture` compares the size
# before any pixel is unpacked, and a text of a picture needs no megabytes.
Image.MAX_IMAGE_PIXELS = None
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = 2**16


def read_picture(body, kind, shape):
    """Return the picture in a file as numbers from 0 to 1, (c, h, w); raise ValueError."""
    c, h, w = shape
    try:
        with Image.open(io.BytesIO(body), formats=[kind]) as picture:
            size, mode = picture.size, picture.mode
            fits = size == (w, h) and mode == MODES[c]
            pixels = np.asarray(picture, np.float32) if fits else None
    except Exception as error:  # Pillow raises many kinds for files that are damaged
        raise ValueError(f"this is no complete {kind} file: {error}") from error
    if pixels is None:
        raise ValueError(
            f"the model takes {w}x{h} pixels of mode {MODES[c]}, got {size[0]}x{size[1]} of {mode}"
        )
    return pixels.reshape(h, w, c).transpose(2, 0, 1) / np.float32(255)


class Batcher:
    """Collects the pictures that arrive within a few milliseconds, and answers them by one call."""

    def __init__(self, predictor, most, wait):
        self.predictor, self.most, self.wait = predictor, most, wait
        self.accepted = self.answered = 0
        self.queue = asyncio.Queue(maxsize=16 * most)
        self.thread = ThreadPoolExecutor(max_workers=1)  # the event loop goes on meanwhile

    async def answer(self, x):
        """Return the probabilities of a picture; raise asyncio.QueueFull if too many wait."""
        future = asyncio.get_running_loop().create_future()
        self.queue.put_nowait((x, future))
        self.accepted += 1
        try:
            return await future
        finally:
            self.answered += 1

    async def run(self):
        """Answer for ever."""
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self.queue.get()]
            if self.most > 1 and self.queue.empty():
                await asyncio.sleep(self.wait)
            while len(batch) < self.most and not self.queue.empty():
                batch.append(self.queue.get_nowait())
            x = np.stack([picture for picture, _ in batch])
            try:
                answers = await loop.run_in_executor(self.thread, self.predictor.predict_proba, x)
            except Exception as error:
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # cancelled
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)


async def body_of(request, most):
    """Return the body of a request; raise HTTPException if it is too large, or comes too slowly."""
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise HTTPException(413, f"a picture may have {most} bytes")
    except ClientDisconnect:
        raise HTTPException(400, "the client has gone") from None
    return bytes(body)


def service(model, batch=32, wait=2.0, most_bytes=2**20):
    """Return the application that serves a model; ``wait`` is in milliseconds."""
    predictor = model if isinstance(model, dfs.InferenceModel) else dfs.InferenceModel.load(model)
    shape = predictor.in_shape
    if len(shape) != 3 or shape[0] not in MODES:
        raise SystemExit(f"serve.py takes models of pictures (1 or 3, h, w), got {shape}")
    predictor.predict_proba(np.zeros((1, *shape), np.float32))  # says now if it has none
    names = predictor.class_names

    @contextlib.asynccontextmanager
    async def lifespan(app):  # in each process of gunicorn, after the fork
        app.state.batcher = batcher = Batcher(predictor, batch, wait / 1000)
        running = asyncio.create_task(batcher.run())
        yield
        running.cancel()
        print(f"answered {batcher.answered} of {batcher.accepted} accepted", flush=True)

    app = FastAPI(title="deepfs", lifespan=lifespan)

    @app.post("/predict")
    async def predict(request: Request):
        kind = KINDS.get(request.headers.get("content-type", "").partition(";")[0].strip().lower())
        if kind is None:
            raise HTTPException(415, f"the body must be a picture, one of {', '.join(KINDS)}")
        try:
            body = await asyncio.wait_for(body_of(request, most_bytes), BODY_SECONDS)
        except TimeoutError:
            raise HTTPException(408, f"the picture took more than {BODY_SECONDS} s") from None
        try:
            picture = read_picture(body, kind, shape)
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        try:
            answer = await app.state.batcher.answer(picture)
        except asyncio.QueueFull:
            raise HTTPException(503, "too many pictures wait", {"Retry-After": "1"}) from None
        best = int(answer.argmax()) if len(answer) > 1 else int(answer[0] > 0.5)
        label = None if names is None else names[best]
        return JSONResponse({"class": best, "label": label, "probabilities": answer.tolist()})

    @app.get("/health")
    async def health():
        batcher = app.state.batcher
        return {"status": "ok", "accepted": batcher.accepted, "answered": batcher.answered}

    return app


def main():
    """Run the service until SIGTERM or Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", help="a file that model.save wrote")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0: any that is free")
    parser.add_argument("--batch", type=int, default=32, help="pictures at a time")
    parser.add_argument("--wait", type=float, default=2.0, help="milliseconds for more of them")
    parser.add_argument("--most-bytes", type=int, default=2**20, help="of a picture's file")
    given = parser.parse_args()
    app = service(given.model, given.batch, given.wait, given.most_bytes)
    # uvicorn stops on SIGTERM, answers what is under way, then raises the signal once more
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listening = socket.create_server((given.host, given.port))
    print(f"http://{given.host}:{listening.getsockname()[1]}/predict", flush=True)
    config = uvicorn.Config(
        app, log_level="warning", limit_concurrency=512, timeout_graceful_shutdown=STOP_SECONDS
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
