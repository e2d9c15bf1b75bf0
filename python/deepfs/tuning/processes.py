"""Processes that run the trials of a search beside each other, on this machine or a Dask cluster.

A process is started as ``python -m deepfs.tuning.processes FOLDER``, not by `multiprocessing`, so
that scripts need no ``if __name__ == "__main__":``. Arrays of the data are files that all of them
map into memory.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from .._check import shown
from ..config import set_num_threads
from .owners import OWNER, machine
from .slots import LOG, STOPPED, end, release, study_of, work
from .storage import open_storage
from .trials import Job, Outcome

JOB, ARRAYS, ERROR = "job.pickle", "arrays", "error.txt"  # files in the folder
ALIGNED = 64  # bytes
POLL = 0.2  # seconds
LAST_WORDS = 5.0  # seconds that a process gets to end
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def write_job(folder: Path, job: Job) -> None:
    """Write a job and, apart from it, the arrays of its data."""
    try:
        import cloudpickle as pickler  # takes functions of notebooks, too
    except ImportError:
        pickler = pickle
    buffers: list[pickle.PickleBuffer] = []
    try:
        head = pickler.dumps(job, protocol=5, buffer_callback=buffers.append)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        missing = "" if pickler is not pickle else ", or pip install cloudpickle"
        raise TypeError(
            "search with n_jobs > 1 sends build, data and callbacks to other processes, but "
            f"they cannot be pickled ({error}): define them at the top of a module{missing}"
        ) from error
    places = []
    with (folder / ARRAYS).open("wb") as file:
        for each in buffers:
            raw = each.raw()
            file.write(bytes(-file.tell() % ALIGNED))
            places.append((file.tell(), raw.nbytes))
            file.write(raw)
        file.write(b"\0")  # a file of no bytes cannot be mapped
    (folder / JOB).write_bytes(pickle.dumps((sys.path, places)) + head)


def read_job(folder: Path) -> Job:
    """Return the job that was written."""
    with (folder / JOB).open("rb") as file:
        path, places = pickle.load(file)
        sys.path[:] = path
        with (folder / ARRAYS).open("rb") as arrays:
            mapped = memoryview(mmap.mmap(arrays.fileno(), 0, access=mmap.ACCESS_READ))
        job: Job = pickle.load(file, buffers=[mapped[a : a + n] for a, n in places])
    return job


class Processes:
    """Some processes that share the trials of a study."""

    def __init__(self, job: Job, storage: Any, n_jobs: int, threads: int) -> None:
        self.job, self.storage, self.n_jobs, self.threads = job, storage, n_jobs, threads

    def run(self, done: Callable[[], None]) -> None:
        """Run all trials that wait; call ``done`` often.

        Raises
        ------
        RuntimeError
            If a process cannot begin.
        """
        with tempfile.TemporaryDirectory(prefix="deepfs-search-") as name:
            folder = Path(name)
            write_job(folder, self.job)
            running = [self._start(folder) for _ in range(self.n_jobs)]
            try:
                while running:
                    time.sleep(POLL)
                    done()
                    for process in [each for each in running if each.poll() is not None]:
                        running.remove(process)
                        end_of(process)
                        if process.returncode and self._ended(process, folder):
                            running.append(self._start(folder))
            finally:
                for process in running:
                    end_of(process)
                release(study_of(self.job, self.storage))

    def _start(self, folder: Path) -> subprocess.Popen[bytes]:
        own = dict.fromkeys(THREADS, str(self.threads)) | {"PYTHONPATH": os.pathsep.join(sys.path)}
        return subprocess.Popen(
            [sys.executable, "-m", "deepfs.tuning.processes", str(folder), str(self.threads)],
            stdin=subprocess.PIPE, env=os.environ | own,
        )  # fmt: skip

    def _ended(self, process: subprocess.Popen[bytes], folder: Path) -> bool:
        """Note that the trial of a process has failed; return whether to start another."""
        error = folder / ERROR
        if error.exists():
            raise RuntimeError(f"search cannot run in processes: {error.read_text('utf-8')}")
        if process.returncode == 130:  # Ctrl-C
            raise KeyboardInterrupt
        study = study_of(self.job, self.storage)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if trial.user_attrs.get(OWNER, [])[:2] == [machine(), process.pid]:
                noted = Outcome(TrialState.FAIL, verdict=ending(process.returncode)).as_dict()
                with contextlib.suppress(RuntimeError):  # it has ended
                    self.storage.set_trial_user_attr(trial._trial_id, LOG, noted)
                end(study, trial.number, noted)
                return True
        raise RuntimeError(f"search: outside of a trial, {ending(process.returncode)}")


def ending(status: int) -> str:
    """Return in words how a process has ended."""
    if status < 0:
        memory = ", as for want of memory" if status == -9 else ""
        return f"its process was ended by signal {-status}{memory}"
    return f"its process ended with status {status}"


def end_of(process: subprocess.Popen[bytes]) -> None:
    """End a process, if it has not ended by itself."""
    assert process.stdin is not None
    process.stdin.close()  # it watches this
    try:
        process.wait(LAST_WORDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def check_client(client: Any, storage: Any) -> None:
    """Raise an error if a client is none, or if its workers have no storage that all reach.

    On one machine they share a temporary file, as processes do.
    """
    if client is None:
        return
    if not callable(getattr(client, "scatter", None)):
        raise TypeError(
            f"client must be a distributed.Client, such as Client(cluster), got {shown(client)}"
        )
    if storage is None and not {*client.run(machine).values()} <= {machine()}:
        raise ValueError(
            "client= has workers on other machines, so search needs a storage that all of them "
            'reach: storage="postgresql://user@host/name", "search.log" in a folder of all '
            "machines, or optuna_integration.DaskStorage(client=client) after "
            "pip install optuna-integration[dask]"
        )


def on_cluster(client: Any, job: Job, storage: Any, done: Callable[[], None]) -> None:
    """Run all trials that wait on the workers of a Dask cluster, one at a time on each."""
    workers = client.nthreads()
    if not workers:
        raise RuntimeError("search with client= needs a cluster with at least one worker")
    sent = client.scatter(job, broadcast=True)
    futures = [
        client.submit(work_on_cluster, sent, threads, pure=False, workers=[address])
        for address, threads in workers.items()
    ]
    try:
        while not all(future.done() for future in futures):
            time.sleep(POLL)
            done()
        client.gather(futures)
    except BaseException:
        study_of(job, storage).set_user_attr(STOPPED, job.call)
        client.cancel(futures)
        raise


def work_on_cluster(job: Job, threads: int) -> None:
    """Run trials in a worker of Dask."""
    set_num_threads(threads)
    work(job, opened(job))


def opened(job: Job) -> Any:
    """Return the storage of a job, opened by this process."""
    return optuna.Study(job.study_name, open_storage(job.storage))._storage


def watch_parent(folder: Path) -> None:
    """End this process when the one that started it has ended, or says so."""
    os.read(0, 1)  # not by sys.stdin, whose lock would be held at the end
    shutil.rmtree(folder, ignore_errors=True)  # a killed one has left it
    os._exit(1)


def main(folder: Path, threads: int) -> int:
    """Run trials until none waits; return an exit status."""
    threading.Thread(target=watch_parent, args=(folder,), daemon=True).start()
    set_num_threads(threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        job = read_job(folder)
        storage = opened(job)
    except Exception as error:
        (folder / ERROR).write_text(f"{type(error).__name__}: {error}", "utf-8")
        return 1
    try:
        work(job, storage)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
