# SPDX-License-Identifier: GPL-2.0-only
"""The shell agent and ours through every scenario; the report of conftest.py says how it went."""
import pytest

from . import expected, generated, play, report, scenarios, versions

SAMPLE = generated.SCENARIOS[::10]
REST = [one for one in generated.SCENARIOS if one not in SAMPLE]
SETS = {"two handwritten in three": [one for index, one in enumerate(scenarios.SCENARIOS)
                                     if index % 3],
        "the other handwritten ones": scenarios.SCENARIOS[::3],
        "one generated in ten": SAMPLE, "the others": REST}


@pytest.mark.slow
@pytest.mark.parametrize("name", [
    pytest.param("two handwritten in three", marks=pytest.mark.handwritten),
    pytest.param("the other handwritten ones", marks=[pytest.mark.handwritten,
                                                      pytest.mark.variant]),
    "one generated in ten", pytest.param("the others", marks=pytest.mark.long)])
def test_nothing_differs_but_what_is_meant(name, twins, everything):
    """Outcomes, states, commands and log of each action are the same, or expected.py says why."""
    here = report.Report()
    for outcome in play.play_all([play.Scenario(*one) for one in SETS[name]], twins):
        everything.add(outcome)
        here.add(outcome)
    assert here.scenarios == len(SETS[name])
    assert not here.complaint(), "\n" + here.complaint()


@pytest.mark.handwritten
def test_every_difference_of_a_newer_agent_appears(everything):
    """An entry for the versions here that nothing met is out of date."""
    if everything.scenarios < len(scenarios.SCENARIOS):
        pytest.skip("only after all handwritten scenarios were played")
    assert [key for key in expected.NEWER if not everything.matched[key]] == []


def test_every_expected_difference_still_appears(twins, everything):
    """An entry of the table that nothing met is out of date."""
    if versions.NEWER:
        pytest.skip("only with the shell agent of 4.12, whose differences the table tells")
    if everything.scenarios < len(scenarios.SCENARIOS) + len(SAMPLE):
        pytest.skip("only after the scenarios were played")
    assert everything.never_matched() == []


def test_enough_scenarios():
    """At least 80 by hand and 1,000 in all, no two the same."""
    played = [one[1:] for one in scenarios.SCENARIOS + generated.SCENARIOS]
    assert len(scenarios.SCENARIOS) >= 80
    assert len(set(played)) >= 1000
