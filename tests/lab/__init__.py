# SPDX-License-Identifier: GPL-2.0-only
"""What all kinds of tests share: namespaces, the runner of an agent, what the kernel says, frames
on a wire, traffic, and programs that stand in for others.  Nothing here imports the package under
test.
"""
