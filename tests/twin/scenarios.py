# SPDX-License-Identifier: GPL-2.0-only
"""The scenarios written by hand: one line each.

    ("what it is about", "shape", "parameters", "step; step; ...")

Shapes are in shapes.py. Parameters are name=value words as a shell reads them; `4` and `6` stand
for ip=192.0.2.50 and ip=2001:db8::50. Names in capitals are environment variables as they are; a
name without `=` is unset. Steps are actions (probe is a monitor without an interval, nothing is no
action at all) or outside changes: `ip ...` runs ip, `set x=y` changes parameters, `reply PROGRAM
CODE [TEXT [PATTERN]]` has a stand-in answer so, `stay PROGRAM` has it stay, `remove PROGRAM` takes
it from the system, `put FILE TEXT` and `drop FILE` work on HA_RSCTMP, `victim FILE` names a process
there that is none of ours, `dwell NAMESPACE` starts one that lives in a network namespace. A
change marked `?` may fail.
"""
from .scenarios_events import CLUSTER_IP, MISHAPS, NAMES, SENDERS
from .scenarios_noted import NOTED
from .scenarios_place import BROADCAST_AND_LABEL, FINDIF, OPTIONS
from .scenarios_wrong import WRONG

SCENARIOS = (FINDIF + BROADCAST_AND_LABEL + OPTIONS + SENDERS + CLUSTER_IP + MISHAPS + NAMES
             + NOTED + WRONG)
