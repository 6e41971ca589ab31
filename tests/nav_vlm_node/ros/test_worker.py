from __future__ import annotations

import threading

import pytest

from nav_vlm_node.ros.worker import Worker


def test_jobs_run_in_order_on_one_thread() -> None:
    worker, threads = Worker(), list[str]()

    def job(number: int) -> int:
        threads.append(threading.current_thread().name)
        return number

    futures = [worker.submit(lambda number=number: job(number)) for number in range(5)]  # type: ignore[misc]
    assert [future.result(30) for future in futures] == [0, 1, 2, 3, 4]
    assert set(threads) == {"nav_vlm_model"}
    assert worker.close(30)


def test_what_a_job_raises_goes_to_its_future_and_the_next_one_runs() -> None:
    worker = Worker()
    failed = worker.submit(lambda: 1 // 0)
    assert worker.submit(lambda: "next").result(30) == "next"
    with pytest.raises(ZeroDivisionError):
        failed.result(30)
    worker.close(30)


def test_a_closed_worker_takes_no_jobs_and_a_stuck_one_is_left_behind() -> None:
    worker, release = Worker(), threading.Event()
    worker.submit(lambda: release.wait(300))
    assert not worker.close(0.05)
    assert worker.closed
    assert worker.submit(lambda: 1).cancelled()
    release.set()
    assert worker.close(30)
