from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from acav_spark.errors import MediaError, StageError
from acav_spark.media import Limits, Sandbox, shared_sandbox
from acav_spark.media.operations import OPERATIONS
from acav_spark.media.wire import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HERE = Path(__file__).parent


def _faulty(**limits: float) -> Sandbox:
    return Sandbox(Limits(**limits), _operations="sandbox_faults")  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with _faulty(time_s=20, memory_bytes=2**28) as faulty:
        yield faulty


def _message(values: dict[str, object]) -> bytes:
    return b"".join(map(bytes, encode_message(values)))


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        n_threads = sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return False
    # While other threads still end, the first one is a zombie nobody can wait for.
    return state != "Z" or n_threads > 1


def _is_gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not _is_running(pid):
            return True
        time.sleep(0.05)
    return False


def test_values_arrays_and_bytes_go_there_and_back(sandbox: Sandbox) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3)

    answer = sandbox.call("echo", a=array, b=b"\0\xff", c=[1, {"d": None}], e="\udcff")

    np.testing.assert_array_equal(cast("np.ndarray", answer.pop("a")), array)
    assert answer == {
        "b": b"\0\xff",
        "c": [1, {"d": None}],
        "e": "\udcff",
        "max_pixels": 4096 * 4096,
    }


def test_a_large_answer_arrives_whole(sandbox: Sandbox) -> None:
    array = np.arange(4_000_000, dtype=np.int64)
    answer = sandbox.call("echo", a=array)
    np.testing.assert_array_equal(cast("np.ndarray", answer["a"]), array)


def test_one_child_answers_many_calls(sandbox: Sandbox) -> None:
    assert sandbox.call("pid") == sandbox.call("pid") == {"pid": sandbox.child_pid}


def test_a_new_child_starts_quickly() -> None:
    with Sandbox(Limits()) as real:
        with pytest.raises(MediaError, match="not_found"):
            real.call("probe", path="/does/not/exist")
        assert real.child_pid is not None


def test_a_call_beyond_its_time_is_killed_and_the_next_one_works() -> None:
    with _faulty(time_s=0.5) as faulty:
        first_pid = cast("int", faulty.call("pid")["pid"])
        began = time.monotonic()
        with pytest.raises(MediaError, match=r"took longer than 0\.5 s") as caught:
            faulty.call("sleep", seconds=60)
        assert caught.value.code == "time_limit"
        assert not caught.value.is_permanent
        assert time.monotonic() - began < 5
        assert not _is_running(first_pid)
        assert faulty.call("pid") != {"pid": first_pid}


def test_processes_that_the_child_started_end_with_it() -> None:
    with _faulty(time_s=1.0) as faulty:
        group = cast("int", faulty.call("environment")["group"])
        with pytest.raises(MediaError, match="time_limit"):
            faulty.call("start_grandchild")
    # Killed is not yet gone: the system takes a moment.
    end = time.monotonic() + 5
    while (members := _members(group)) and time.monotonic() < end:
        time.sleep(0.05)
    assert members == []


def _members(group: int) -> list[str]:
    return [
        entry.name
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _group_of(entry) == group
    ]


def _group_of(process: Path) -> int | None:
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] == "Z" else int(fields[2])


def test_memory_beyond_the_limit_is_refused_and_the_next_call_works(
    sandbox: Sandbox,
) -> None:
    with pytest.raises(MediaError, match="memory") as caught:
        sandbox.call("allocate", n_bytes=10 * 2**30)
    assert caught.value.code == "memory_limit"
    assert not caught.value.is_permanent
    assert sandbox.call("allocate", n_bytes=2**26) == {"length": 2**26}


@pytest.mark.parametrize(("fault", "telling"), [("crash", "SIGSEGV"), ("leave", "3")])
def test_a_child_that_dies_is_a_crash_and_the_next_call_works(
    sandbox: Sandbox, fault: str, telling: str
) -> None:
    with pytest.raises(MediaError, match=telling) as caught:
        sandbox.call(fault)
    assert caught.value.code == "decoder_crashed"
    assert sandbox.call("echo", a=1)["a"] == 1


def test_a_child_killed_between_calls_is_replaced(sandbox: Sandbox) -> None:
    pid = cast("int", sandbox.call("pid")["pid"])
    os.kill(pid, signal.SIGKILL)
    assert _is_gone_within(pid, 5)
    assert sandbox.call("pid") != {"pid": pid}


def test_what_libraries_print_does_not_disturb_answers(sandbox: Sandbox) -> None:
    assert sandbox.call("shout") == {"heard": False}
    assert sandbox.call("echo", a=2)["a"] == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"x" * 200,
        b"ACW1" + b"\xff" * 12,
        _message({"neither": 1}),
        _message({"id": 0, "result": {}}),
        _message({"result": {}}),
        _message({"id": 1, "error": "text"}),
        _message({"id": 1, "error": {"code": ["a"]}}),
        _message({"id": 1, "result": [1]}),
    ],
)
def test_forged_answers_become_media_errors(sandbox: Sandbox, answer: bytes) -> None:
    sandbox.close()  # the first call of a child has id 1
    with pytest.raises(MediaError, match="decoder_crashed"):
        sandbox.call("forge", answer=answer)
    assert sandbox.call("echo", a=3)["a"] == 3


def test_an_answer_too_many_is_not_taken_for_the_next_one(sandbox: Sandbox) -> None:
    sandbox.close()
    twice = _message({"id": 1, "result": {"a": "wrong"}}) * 2
    assert sandbox.call("forge", answer=twice)["a"] == "wrong"
    with pytest.raises(MediaError, match="does not belong to its request"):
        sandbox.call("echo", a="right")
    assert sandbox.call("echo", a="right")["a"] == "right"


@pytest.mark.parametrize("is_permanent", [True, False])
def test_media_errors_travel_with_code_message_and_permanence(
    sandbox: Sandbox, *, is_permanent: bool
) -> None:
    with pytest.raises(MediaError, match="empty_file: it has no bytes") as caught:
        sandbox.call("find", is_permanent=is_permanent)
    assert caught.value.code == "empty_file"
    assert caught.value.message == "it has no bytes"
    assert caught.value.is_permanent is is_permanent


def test_other_errors_say_what_and_where_they_were(sandbox: Sandbox) -> None:
    with pytest.raises(MediaError, match="RuntimeError: nobody foresaw this") as caught:
        sandbox.call("fail")
    assert caught.value.code == "unexpected_error"
    assert "sandbox_faults.py:" in caught.value.message


def test_codes_that_nobody_knows_are_not_believed(sandbox: Sandbox) -> None:
    with pytest.raises(MediaError, match="decoder_crashed"):
        sandbox.call("invent_code")


def test_an_operation_that_is_not_listed_cannot_be_called(sandbox: Sandbox) -> None:
    with pytest.raises(MediaError, match="KeyError"):
        sandbox.call("os:system")
    with Sandbox(Limits()) as real, pytest.raises(MediaError, match="KeyError"):
        real.call("sleep", seconds=0)


def test_only_operations_of_this_package_ship() -> None:
    assert set(OPERATIONS) == {
        *("probe", "decode", "poster", "envelope"),
        *("measure", "cut"),
    }
    assert all(target.startswith("acav_spark.") for target in OPERATIONS.values())


def test_the_child_is_replaced_after_its_number_of_calls() -> None:
    with _faulty(n_calls_before_recycle=3) as faulty:
        pids = [cast("int", faulty.call("pid")["pid"]) for _ in range(7)]
    assert len(set(pids[:3])) == len(set(pids[3:6])) == 1
    assert len(set(pids)) == 3
    assert not any(_is_running(pid) for pid in pids)


def test_closing_ends_the_child_and_a_later_call_starts_another() -> None:
    faulty = _faulty()
    pid = cast("int", faulty.call("pid")["pid"])
    faulty.close()
    assert not _is_running(pid)
    assert faulty.call("pid") != {"pid": pid}
    faulty.close()
    faulty.close()


def test_the_child_cannot_write_files(sandbox: Sandbox, tmp_path: Path) -> None:
    target = tmp_path / "written"
    answer = sandbox.call("write_file", path=str(target))
    assert answer == {"errno": errno.EFBIG}
    assert not target.exists() or target.stat().st_size == 0


def test_the_child_opens_few_files(sandbox: Sandbox) -> None:
    assert cast("int", sandbox.call("open_files")["n_opened"]) < 64


def test_the_child_sees_no_secrets_and_leads_its_own_group(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    with _faulty() as faulty:
        seen = faulty.call("environment")
    names = cast("list[str]", seen["names"])
    assert "AWS_SECRET_ACCESS_KEY" not in names
    assert "HOME" not in names
    assert seen["folder"] == "/"
    assert seen["group"] == seen["pid"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root may leave the network")
def test_the_child_reaches_no_network_where_that_is_permitted(sandbox: Sandbox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        answer = sandbox.call("connect", port=server.getsockname()[1])
    assert answer["connected"] is False


_PARENT = """
import sys, threading, time
from acav_spark.media import Limits, Sandbox
sandbox = Sandbox(Limits(time_s=60), _operations="sandbox_faults")
def work():
    print(sandbox.call("pid")["pid"], flush=True)
    sandbox.call("sleep", seconds=60)
if sys.argv[1] == "main":
    work()
else:
    threading.Thread(target=work).start()
    time.sleep(60)
"""


@pytest.mark.parametrize("thread", ["main", "other"])
def test_the_child_ends_when_its_parent_is_killed(thread: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_HERE)}
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, thread],
        stdout=subprocess.PIPE,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        assert _is_running(pid)
        parent.kill()
    assert _is_gone_within(pid, 10)


def test_the_child_outlives_the_thread_that_started_it() -> None:
    with _faulty() as faulty:
        pids: list[object] = []
        thread = threading.Thread(target=lambda: pids.append(faulty.call("pid")))
        thread.start()
        thread.join()
        time.sleep(0.2)
        assert [faulty.call("pid")] == pids


def test_calls_from_several_threads_get_their_own_answers(sandbox: Sandbox) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        for _ in range(20):
            answer = sandbox.call("echo", a=number)["a"]
            if answer != number:
                wrong.append((number, answer))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def _status_of_forked(body: Callable[[], bool]) -> int:
    """Run a check in a forked process; 0 when it held."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            status = 0 if body() else 2
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_forked_process_gets_a_child_of_its_own() -> None:
    with _faulty() as faulty:
        pid = faulty.call("pid")["pid"]

        def differs() -> bool:
            other = faulty.call("pid")["pid"]
            faulty.close()
            return other != pid

        assert _status_of_forked(differs) == 0
        assert faulty.call("pid") == {"pid": pid}


def test_the_shared_sandbox_is_one_for_each_process_and_limits() -> None:
    limits = Limits(time_s=7.0)
    shared = shared_sandbox(limits)
    assert shared_sandbox(Limits(time_s=7.0)) is shared
    assert shared_sandbox(Limits(time_s=8.0)) is not shared
    with pytest.raises(MediaError, match="not_found"):
        shared.call("probe", path="/does/not/exist")
    pid = shared.child_pid

    def differs() -> bool:
        own = shared_sandbox(limits)
        if own.child_pid is not None:
            return False
        try:
            own.call("probe", path="/does/not/exist")
        except MediaError:
            return own.child_pid not in (None, pid)
        return False

    assert _status_of_forked(differs) == 0
    assert shared.child_pid == pid
    assert pid is not None
    assert _is_running(pid)
    shared.close()


def test_a_shared_sandbox_is_closed_at_exit() -> None:
    script = (
        "from acav_spark.media import Limits, shared_sandbox\n"
        "sandbox = shared_sandbox(Limits())\n"
        "try:\n    sandbox.call('probe', path='/none')\n"
        "except Exception:\n    print(sandbox.child_pid)\n"
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
    assert _is_gone_within(int(run.stdout), 5)


def test_a_child_that_cannot_start_says_why() -> None:
    faulty = Sandbox(Limits(), _operations="no_such_module_anywhere")
    with pytest.raises(StageError, match="No module named 'no_such_module_anywhere'"):
        faulty.call("pid")
    assert faulty.child_pid is None
