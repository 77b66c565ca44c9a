# SPDX-License-Identifier: GPL-2.0-only
"""Runs the quick unit tests on mutants: all are collected once, and each mutant is a fork of that.

A first run tells which functions each test calls, and how long it takes: a mutant meets the tests
that call its function, the quickest first.
"""

import importlib
import os
import pickle
import signal
import sys
import time

import pytest

LIMIT = 60              # seconds for all the tests of one mutant


class Session:
    """pytest's session, as a plugin that runs the tests for mutants in place of once."""

    def __init__(self, made, jobs):
        self.made = made
        self.jobs = jobs
        self.results = []
        self.failed = False
        self.calls = {}         # (file, first line) of a function -> [(seconds, index of a test)]

    def pytest_runtest_logreport(self, report):
        """Note a failure."""
        self.failed = self.failed or report.failed

    def pytest_runtestloop(self, session):
        """Run all tests once, then those that matter for each mutant."""
        for index in range(len(session.items)):
            self.first_run(session.items, index)
        for found in self.calls.values():
            found.sort()
        print(f"{len(session.items)} tests, {len(self.calls)} functions called", flush=True)
        self.all_mutants(session.items)
        return True

    def first_run(self, items, index):
        """Run a test on the package as it is, and note what it calls."""
        called, begin = set(), time.monotonic()

        def note(frame, event, _argument):
            code = frame.f_code
            if event == "call" and "/ipaddr2_py/" in code.co_filename:
                called.add((code.co_filename, code.co_firstlineno))

        self.failed = False
        sys.setprofile(note)
        run(items, index)
        sys.setprofile(None)
        if self.failed:
            print(f"fails without a mutant, left out: {items[index].nodeid}", flush=True)
            return
        for key in called:
            self.calls.setdefault(key, []).append((time.monotonic() - begin, index))

    def all_mutants(self, items):
        """Share the mutants out among processes, and gather what became of them."""
        pipes = []
        for job in range(self.jobs):
            reader, writer = os.pipe()
            if not os.fork():
                os.close(reader)
                mine = [(number, self.outcome(items, self.made[number]))
                        for number in range(job, len(self.made), self.jobs)]
                with os.fdopen(writer, "wb") as file:
                    pickle.dump(mine, file)
                os._exit(0)
            os.close(writer)
            pipes.append(reader)
        for reader in pipes:
            with os.fdopen(reader, "rb") as file:
                self.results += [(self.made[number], outcome) for number, outcome in
                                 pickle.load(file)]
            os.wait()

    def outcome(self, items, mutant):
        """What becomes of a mutant: killed, survived, or not called (by any test)."""
        function = find(mutant)
        tests = self.calls.get((mutant.code.co_filename, mutant.code.co_firstlineno), [])
        if not tests:
            return "not called"
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            function.__code__ = mutant.code
            null = os.open(os.devnull, os.O_RDWR)
            for number in (1, 2):
                os.dup2(null, number)
            self.failed = False
            for _, index in tests:
                run(items, index)
                if self.failed:
                    os._exit(1)
            os._exit(0)
        end = time.monotonic() + LIMIT
        pause = 0.001
        while time.monotonic() < end:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            time.sleep(pause)
            pause = min(0.05, pause * 1.5)
        else:
            status = 1
        for victim in (os.killpg, os.kill):
            try:
                victim(pid, signal.SIGKILL)
            except OSError:
                pass
        if not done:
            os.waitpid(pid, 0)
        return "killed" if status else "survived"


def run(items, index):
    """Run one test as pytest does."""
    item = items[index]
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)


def find(mutant):
    """The function that a mutant is to change."""
    found = importlib.import_module("ipaddr2_py." + mutant.module)
    for name in mutant.function.split("."):
        found = vars(found)[name]
    found = getattr(found, "fget", found)
    return getattr(found, "__func__", found)


def results(made, jobs):
    """[(Mutant, killed, survived or not called)]."""
    session = Session(made, jobs)
    pytest.main(["tests/unit", "-m", "not slow", "-p", "no:cacheprovider", "-p",
                 "no:terminal", "-o", "addopts=--strict-markers",
                 "--deselect", "tests/unit/test_house.py",
                 "--deselect", "tests/unit/test_readme.py"], plugins=[session])
    return session.results
