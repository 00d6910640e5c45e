"""Decoding in a limited child process: a broken video costs its row, not the job."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import functools
import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Final, NoReturn

from acav_spark.errors import MediaError, StageError
from acav_spark.media import codes
from acav_spark.media.child_environment import child_environment
from acav_spark.media.closing import Closing
from acav_spark.media.limits import Limits
from acav_spark.media.serving import ServedCall
from acav_spark.media.wire import WireError, encode_message, read_message

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Limits", "Sandbox", "shared_sandbox"]

_START_S: Final = 60.0
_MAX_TEXT: Final = 1000
_PIPE_BYTES: Final = 2**20
_OPERATIONS: Final = "acav_spark.media.operations"
_logger = logging.getLogger(__name__)


class Sandbox(Closing):
    """A child process that decodes untrusted media, started when first needed.

    The child has no shell, an almost empty environment, no network where the system
    permits that, cannot write files, and ends with this process. After a call that
    broke a limit or the child itself, the next call gets a new one. Safe to use from
    several threads (calls wait for each other) and after a fork (the forked process
    starts a child of its own).

    Parameters
    ----------
    limits : Limits
        What one call may take.
    """

    def __init__(self, limits: Limits, *, _operations: str = _OPERATIONS) -> None:
        self.limits = limits
        self._operations = _operations
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._n_calls = 0
        self._pid = os.getpid()

    @property
    def child_pid(self) -> int | None:
        """Process id of the child; None while there is none."""
        return None if self._child is None else self._child.pid

    def call(
        self,
        operation: str,
        *,
        _sink: Callable[[bytes], object] | None = None,
        **arguments: object,
    ) -> dict[str, object]:
        """Run one operation in the child and return its result.

        Parameters
        ----------
        operation : str
            A name in ``acav_spark.media.operations``.
        **arguments
            JSON values, arrays, bytes and paths; ``max_pixels`` is added from the
            limits. One may be a ``RemoteSource``, whose bytes are served meanwhile.

        Raises
        ------
        MediaError
            What the operation found, or ``time_limit``, ``memory_limit``,
            ``decoder_crashed``, ``unexpected_error``. The last four are not
            permanent: another machine, or another limit, may do better. Where the
            source of remote media failed, its error.
        StageError
            If no child can be started at all.
        """
        arguments.setdefault("max_pixels", self.limits.max_pixels)
        self._forget_after_fork()
        with self._lock:
            self._start_if_needed()
            self._n_calls += 1
            served = ServedCall(arguments)
            try:
                answer = self._exchange(operation, served, _sink)
            except TimeoutError:
                self._stop()
                message = f"{operation} took longer than {self.limits.time_s:g} s"
                raise MediaError(
                    codes.TIME_LIMIT, message, is_permanent=False
                ) from None
            except (EOFError, BrokenPipeError):
                self._raise_crashed(operation)
            except WireError as error:
                self._stop()
                message = f"{operation} gave an answer that cannot be read: {error}"
                raise MediaError(
                    codes.DECODER_CRASHED, message, is_permanent=False
                ) from error
            except BaseException:
                # An interrupt between request and answer: they would get out of step.
                self._stop()
                raise
            if served.error is not None:
                with contextlib.suppress(MediaError):
                    self._result(operation, answer)  # ends a child that is worn out
                raise served.error
            return self._result(operation, answer)

    def abandon(self) -> None:
        """End the child at once, from any thread; a call under way fails."""
        self._forget_after_fork()
        child = self._child
        if child is not None:
            _kill_group(child)

    def call_for_file(
        self, operation: str, sink: Callable[[bytes], object], **arguments: object
    ) -> dict[str, object]:
        """Run an operation whose result has a ``file``; return the rest of the result.

        Parameters
        ----------
        operation, **arguments
            As in ``call``, which also lists the errors.
        sink : callable
            Is given the file in pieces of at most 1 MiB. What it got is of no use when
            this raises.
        """
        return self.call(operation, _sink=sink, **arguments)

    def close(self) -> None:
        """End the child; a later call starts another."""
        self._forget_after_fork()
        with self._lock:
            self._stop()

    def _exchange(
        self,
        operation: str,
        served: ServedCall,
        sink: Callable[[bytes], object] | None,
    ) -> dict[str, object]:
        """Send a request, serve what the child asks for, and return its answer."""
        fields = {"id": self._n_calls, "operation": operation, **served.sent}
        if sink is not None:
            fields["in_pieces"] = True
        began_s, network_s = time.monotonic(), served.network_s
        # The network has limits of its own: waiting for it is no time of the decoder.
        while True:
            waited_s = served.network_s - network_s
            deadline = began_s + self.limits.time_s + waited_s
            self._send(encode_message(fields), deadline)
            answer = self._receive(deadline, self.limits.memory_bytes)
            n_bytes = 0
            while sink is not None and isinstance(piece := answer.get("piece"), bytes):
                n_bytes += len(piece)
                if n_bytes > self.limits.memory_bytes:
                    msg = f"file: expected at most {self.limits.memory_bytes} bytes."
                    raise WireError(msg)
                sink(piece)
                answer = self._receive(deadline, self.limits.memory_bytes)
            if "range" not in answer:
                return answer
            fields = served.reply(answer["range"])

    def _result(self, operation: str, answer: dict[str, object]) -> dict[str, object]:
        """Return an answer's result, or raise the error it carries."""
        result, error = answer.get("result"), answer.get("error")
        is_in_step = answer.get("id") == self._n_calls
        if is_in_step and isinstance(result, dict):
            return result
        fields = error if isinstance(error, dict) else {}
        code, message = str(fields.get("code")), str(fields.get("message"))[:_MAX_TEXT]
        if is_in_step and code in codes.CODES:
            if code in (codes.MEMORY_LIMIT, codes.UNEXPECTED_ERROR):
                self._stop()
            is_permanent = fields.get("is_permanent") is True
            raise MediaError(code, message, is_permanent=is_permanent)
        # An answer to another request would give one clip the values of another.
        self._stop()
        message = f"{operation} gave an answer that does not belong to its request"
        raise MediaError(codes.DECODER_CRASHED, message, is_permanent=False)

    def _raise_crashed(self, operation: str) -> NoReturn:
        status = self._stop(_kill_first=False)
        reason = f"status {status}"
        if status < 0:
            with contextlib.suppress(ValueError):
                reason = signal.Signals(-status).name
        message = f"the decoding process died in {operation} ({reason})"
        raise MediaError(codes.DECODER_CRASHED, message, is_permanent=False)

    def _start_if_needed(self) -> None:
        child = self._child
        is_worn = self._n_calls >= self.limits.n_calls_before_recycle
        if child is not None and not is_worn and child.poll() is None:
            return
        self._stop()
        settings = {
            "operations": self._operations,
            "memory_bytes": self.limits.memory_bytes,
            "n_open_files": self.limits.n_open_files,
            "parent_pid": os.getpid(),
            "dies_with_thread": threading.current_thread() is threading.main_thread(),
        }
        command = [sys.executable, "-P", "-m", "acav_spark.media.child"]
        try:
            self._child = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [*command, json.dumps(settings)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                cwd="/",
                env=child_environment(self.limits.gpu),
                start_new_session=True,
            )
        except OSError as error:
            msg = f"the decoding process cannot be started with {command}: {error}."
            raise StageError(msg) from error
        self._greet(self._child)

    def _greet(self, child: subprocess.Popen[bytes]) -> None:
        """Wait until the child has limited itself and is ready."""
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                os.set_blocking(pipe.fileno(), False)
                # A message then costs one switch between the processes, not one for
                # each 64 kB. Not everywhere, nor to users with many pipes.
                with contextlib.suppress(AttributeError, OSError):
                    fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        try:
            ready = self._receive(time.monotonic() + _START_S, max_bytes=0)
        except (EOFError, TimeoutError, WireError) as error:
            _kill_group(child)
            said = child.stderr.read() if child.stderr else b""
            text = said.decode("utf-8", "replace").strip()[-_MAX_TEXT:]
            self._stop()
            msg = (
                f"the decoding process did not start ({type(error).__name__}). "
                f"It said: {text or 'nothing'}"
            )
            raise StageError(msg) from error
        if child.stderr is not None:
            child.stderr.close()
        if ready.get("gpu_problem"):
            _warn_of_cpu(str(ready["gpu_problem"])[:_MAX_TEXT])

    def _send(self, pieces: list[bytes | memoryview], deadline: float) -> None:
        descriptor = self._descriptor("stdin")
        for piece in pieces:
            view = memoryview(piece)
            while len(view):
                _wait(descriptor, select.POLLOUT, deadline)
                with contextlib.suppress(BlockingIOError):
                    view = view[os.write(descriptor, view) :]

    def _receive(self, deadline: float, max_bytes: int) -> dict[str, object]:
        descriptor = self._descriptor("stdout")

        def read_exactly(n_bytes: int) -> bytearray:
            block = bytearray(n_bytes)
            view = memoryview(block)
            while len(view):
                _wait(descriptor, select.POLLIN, deadline)
                with contextlib.suppress(BlockingIOError):
                    n_read = os.readv(descriptor, [view])
                    if n_read == 0:
                        raise EOFError
                    view = view[n_read:]
            return block

        return read_message(read_exactly, max_bytes=max_bytes)

    def _descriptor(self, name: str) -> int:
        pipe = getattr(self._child, name)
        if pipe is None:
            raise EOFError
        return int(pipe.fileno())

    def _stop(self, *, _kill_first: bool = True) -> int:
        """End the child and everything it started; return its exit status."""
        child, self._child = self._child, None
        self._n_calls = 0
        if child is None:
            return 0
        if not _kill_first:
            # It closed its pipe: give it a moment to leave a status that tells why.
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(timeout=5)
        _kill_group(child)
        status = child.wait()
        _close_pipes(child)
        return status

    def _forget_after_fork(self) -> None:
        """Leave a child that belongs to the process this one was forked from."""
        if self._pid == os.getpid():
            return
        self._pid = os.getpid()
        self._lock = threading.Lock()
        child, self._child = self._child, None
        self._n_calls = 0
        if child is not None:
            _close_pipes(child)
            # Not ours to wait for; without this, Popen would complain when it goes.
            child.returncode = 0


_shared: dict[tuple[Limits, int], Sandbox] = {}


def shared_sandbox(limits: Limits, lane: int = 0) -> Sandbox:
    """Return this process's sandbox for these limits; it is closed at exit.

    Threads that decode at the same time have a lane each.
    """
    return _shared.setdefault((limits, lane), Sandbox(limits))


@functools.lru_cache(maxsize=1)
def _warn_of_cpu(problem: str) -> None:
    """Say, once in a process, that decoding is not where it was wanted."""
    _logger.warning("no GPU to decode on (%s): decoding on the CPU", problem)


def _close_shared() -> None:
    for sandbox in _shared.values():
        sandbox.close()


def _forget_shared() -> None:
    # Open copies of the pipes would keep the other process's child from seeing its
    # end of input.
    for sandbox in _shared.values():
        sandbox._forget_after_fork()


atexit.register(_close_shared)
os.register_at_fork(after_in_child=_forget_shared)


def _wait(descriptor: int, event: int, deadline: float) -> None:
    left_s = deadline - time.monotonic()
    poll = select.poll()
    poll.register(descriptor, event)
    if left_s <= 0 or not poll.poll(left_s * 1000):
        raise TimeoutError


def _kill_group(child: subprocess.Popen[bytes]) -> None:
    # The child leads a group of its own; it is not reaped yet, so its id is still its.
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, signal.SIGKILL)


def _close_pipes(child: subprocess.Popen[bytes]) -> None:
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
