# SPDX-License-Identifier: GPL-2.0-only
"""Play a scenario: both agents, each in its sandbox, step by step; report what differs.

A scenario is (name, shape, parameters, steps), all texts, as scenarios.py explains.
"""
import multiprocessing
import os
import re
import shlex
import time
from collections import namedtuple

from . import compare, expected, shapes, versions
from .sandbox import Sandbox
from .versions import SHELL

HERE = os.path.dirname(os.path.abspath(__file__))
OURS = os.environ.get("TWIN_OURS", os.path.join(HERE, "..", "..", "bin", "IPaddr2"))
WORKERS = int(os.environ.get("TWIN_WORKERS", "4"))

PAUSES = (0.03, 0.07, 0.15, 0.25, 0.5)     # seconds

Scenario = namedtuple("Scenario", "name shape parameters steps")
# actions: compared; expected: [(key of expected.TABLE, difference)]; unexpected: [difference]
Outcome = namedtuple("Outcome", "scenario actions skipped expected unexpected")
ALIASES = {"4": "ip=192.0.2.50", "6": "ip=2001:db8::50"}
ACTIONS = ("start", "stop", "monitor", "status", "probe", "validate-all", "meta-data", "usage",
           "help", "nonsense", "nothing")


class Pair:
    """Both sandboxes, kept in step."""

    def __init__(self, shape, parameters="", agents=(SHELL, OURS)):
        self.sides = []
        self.environment = {"OCF_RESKEY_CRM_meta_interval": "10000", **versions.environment()}
        self.assign(parameters)
        batch4, batch6, sysctls = shapes.lines(shape)
        try:
            for agent in agents:
                self.sides.append(Sandbox(os.path.abspath(agent)))
            self.both("lay_out", batch4, batch6)
            self.both("sysctls", sysctls)
        except BaseException:
            self.close()
            raise

    def assign(self, text):
        """Take the words of a scenario's parameters (scenarios.py says which there are)."""
        for word in shlex.split(text):
            name, equals, value = ALIASES.get(word, word).partition("=")
            plain = re.match("[A-Z]+_|PATH|IP|MODPROBE", name) and not name.startswith("CRM_meta")
            self.environment[name if plain else "OCF_RESKEY_" + name] = value if equals else None

    def both(self, verb, *words):
        """Have both sides do it at the same time; [the shell agent's answer, ours]."""
        for side in self.sides:
            side.ask(verb, *words)
        return [side.answer() for side in self.sides]

    def step(self, step, same=True):
        """Do one step of a scenario; [observation of the shell agent, of ours].

        same: whether both began in the same state. If they do not end in the same state, what the
        kernel does in the background (carrier, IPv6) is given a second before that is believed.
        """
        seen = self._step(step)
        return self.settled(seen, PAUSES) if same else seen

    def settled(self, seen, pauses):
        """The observations, looked at anew after each pause (seconds) while the states differ."""
        for pause in pauses:
            if compare.same_state(seen):
                break
            time.sleep(pause)
            for one, new in zip(seen, self.both("look")):
                one.update(new)
        return seen

    def first_look(self):
        """Both states before anything is done; on a busy machine a carrier takes its time."""
        return self.settled(self.both("look"), PAUSES + (1, 2, 4))

    def _step(self, step):
        if step in ACTIONS:
            environment = dict(self.environment)
            if step == "probe":
                environment["OCF_RESKEY_CRM_meta_interval"] = "0"
            return self.both("act", {"probe": "monitor", "nothing": ""}.get(step, step),
                             environment)
        if step.startswith("set "):
            self.assign(step[4:])
            return self.both("look")
        return self.both("change", step.lstrip("?"))

    def close(self):
        """End both worlds."""
        for side in self.sides:
            side.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def play(scenario, agents=(SHELL, OURS)):
    """Play it; an Outcome. Steps that begin with the states apart are played, not compared."""
    actions = skipped = 0
    expected_ones, unexpected = [], []
    with Pair(scenario.shape, scenario.parameters, agents) as pair:
        before = pair.first_look()
        cases = [compare.Case(scenario, -1, "shape", {}, before, before)]
        for index, step in enumerate(split(scenario.steps)):
            same = compare.same_state(before)
            seen = pair.step(step, same)
            if step in ACTIONS:
                actions, skipped = actions + same, skipped + (not same)
            elif not step.startswith("?") and seen[0].get("rc", 0) != 0:
                raise ValueError("%s: the step '%s' failed: %s" % (scenario, step, seen[0]["out"]))
            if same:
                cases.append(compare.Case(
                    scenario, index, step, dict(pair.environment), before, seen))
            before = seen
    for case in cases:
        found = compare.actions(case) if case.step in ACTIONS else compare.states(case)
        matched, rest = expected.sort_out(case, found)
        expected_ones += matched
        unexpected += rest
    return Outcome(scenario, actions, skipped, expected_ones, unexpected)


def split(steps):
    """'start; ip link set e0 down; stop' -> its steps."""
    return [step.strip() for step in steps.split(";") if step.strip()]


def _play(job):
    scenario, agents = job
    return play(Scenario(*scenario), agents)


def play_all(scenarios, agents=(SHELL, OURS), workers=WORKERS):
    """Play many at once, each in fresh namespaces; yields Outcomes in order."""
    jobs = [(tuple(scenario), agents) for scenario in scenarios]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap(_play, jobs, chunksize=4)
