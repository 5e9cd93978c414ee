"""Processes end with the one that began them."""

import operator
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import retrieval
from retrieval.embedding.processes import spread

SLEEPING = """
import multiprocessing, time
from retrieval.embedding.processes import spread

def told(done, total):
    if done == 2:
        print(*(process.pid for process in multiprocessing.active_children()), flush=True)

if __name__ == "__main__":
    list(spread(time.sleep, [0.0] * 8 + [300.0] * 8, 2, told))
"""


def is_running(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(os.name != "posix", reason="asks for processes by number")
def test_no_process_outlives_the_one_that_began_it(tmp_path):
    (tmp_path / "sleeping.py").write_text(SLEEPING)
    environment = {**os.environ, "PYTHONPATH": str(Path(retrieval.__file__).parents[1])}
    command = [sys.executable, tmp_path / "sleeping.py"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as began:
        workers = [int(word) for word in began.stdout.readline().split()]
        assert len(workers) == 2
        began.kill()
    until = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


def test_results_come_in_order_and_are_counted():
    told = []
    results = spread(operator.neg, range(9), 2, lambda *counts: told.append(counts))
    assert list(results) == [-number for number in range(9)]
    assert told == [(done, 9) for done in range(10)]
