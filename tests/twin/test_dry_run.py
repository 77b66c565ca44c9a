# SPDX-License-Identifier: GPL-2.0-only
"""vipctl's dry run of each start and stop of the scenarios: it shows the commands of the real
action that comes right after it, in order, and changes nothing."""
import multiprocessing
import os
import shlex

import pytest

from . import play, scenarios

SAMPLE = scenarios.SCENARIOS[::12]
REST = [one for one in scenarios.SCENARIOS if one not in SAMPLE]
#: What a dry run does not see: what becomes of an address that another host has, of a program that
#: fails or hangs, or of a change that the kernel refuses.
UNSEEN = ("?", "reply ", "hang", "rival")
QUESTIONS = ("show", "list", "-V", "-S", "-L", "-n")
#: Scenarios in which the host does something by itself between two commands.
OF_THE_HOST = ("LVS: the address comes back while we run", "no carrier from the beginning")


def changing(calls):
    """The calls that the stand-ins noted which change something, or send."""
    return [[os.path.basename(words[0]), *words[1:]] for words in calls
            if not ("arping" not in words[0] and any(word in QUESTIONS for word in words))
            and words[:2] != ["arping", "-V"] and "logger" not in words[0]
            and words[:2] != ["ip", "netns"]]


def shown(lines):
    """The commands of a dry run, as changing() gives them."""
    found = []
    for line in lines:
        words = shlex.split(line)
        if words and not line.startswith(("#", "echo ", "kill ")) and words[1:2] != ["announce"]:
            found.append([os.path.basename(words[0]), *words[1:]])
    return found


def differences(one):
    """How many commands were compared in a scenario, and where a dry run and the action differ."""
    scenario = play.Scenario(*one)
    wrong, compared = [], 0
    with play.Pair(scenario.shape, scenario.parameters, (play.OURS,)) as pair:
        for step in play.split(scenario.steps):
            if step in ("start", "stop") and not pair.environment.get(
                    "OCF_RESKEY_network_namespace"):
                (before,) = pair.both("look")
                (told,) = pair.both("rehearse", step, dict(pair.environment))
                (after,) = pair.both("look")
                if before != after:
                    wrong.append("%s: %s changed something" % (scenario.name, step))
                (seen,) = pair.step(step, same=False)
                if seen["rc"] or told["rc"]:
                    continue
                compared += len(changing(seen["argv"]))
                if shown(told["commands"]) != changing(seen["argv"]):
                    wrong.append("%s: %s shows\n  %s\nand does\n  %s" % (
                        scenario.name, step, shown(told["commands"]), changing(seen["argv"])))
            else:
                pair.step(step, same=False)
    return compared, wrong


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    "one in twelve", pytest.param("the others", marks=pytest.mark.long)])
def test_a_dry_run_shows_the_commands_of_the_action(name, twins):
    jobs = [one for one in (SAMPLE if name == "one in twelve" else REST)
            if one[0] not in OF_THE_HOST and not any(word in one[3] for word in UNSEEN)]
    with multiprocessing.get_context("fork").Pool(play.WORKERS) as pool:
        found = list(pool.imap(differences, jobs, chunksize=2))
    wrong = [text for _, texts in found for text in texts]
    assert not wrong, "\n".join(wrong[:20])
    assert sum(compared for compared, _ in found) > 2 * len(jobs)
