# SPDX-License-Identifier: GPL-2.0-only
"""IPv6 duplicate address detection: the kernel does it (RFC 4862, 5.4), a start waits for it.

Where it fails it is tried anew for a while, as the host that gives the address up may be slow.
Where it does not end, as on a link without carrier, the background goes on waiting.
"""

import time

from .. import addresses, children
from ..changes import ocf_run
from ..ocf import OCF_ERR_GENERIC, OcfExit, ocf_exit_reason, ocf_log
from . import lookout

LIMIT = 10.0                # seconds that a start waits, as the shell agent does
SHARE = 5 / 7               # of the time left for work: that makes half of the action's timeout
POLL = 0.03                 # seconds between two looks
AGAIN = 1.0                 # seconds between a failure and the next try
#: Seconds for the last try: the kernel begins within one, and waits one for an answer.
LAST_TRY = 3.0
LOOK = 1.0                  # seconds between two looks in the background
LOOK_LIMIT = 5.0            # seconds that such a look may take

ENDED, TENTATIVE, FAILED, GONE = "ended", "tentative", "dadfailed", "gone"


def state(vip) -> str:
    """How far detection is: ENDED, TENTATIVE, FAILED, or GONE where the interface does not hold
    the address.  Raises Unreadable."""
    words = ["-o", "-f", "inet6", "addr", "show", "dev", vip.nic,
             "to", f"{vip.ip}/{vip.prefix}"]
    result = addresses.ip_query(words)
    if result.rc and addresses.is_missing(result):
        return GONE
    held = [held for held in addresses.parse_held("inet6", vip.ip, result, words)
            if held.prefix == vip.prefix]
    if not held:
        return GONE
    if "dadfailed" in held[0].flags:
        return FAILED
    # An optimistic address (RFC 4429) is in use while detection goes on.
    return TENTATIVE if "tentative" in held[0].flags and "optimistic" not in held[0].flags \
        else ENDED


def wait_for_dad(vip, add_again) -> bool:
    """Wait until the kernel knows that no other host has the IPv6 address.

    Returns False where that is still open after 10 s, or half of the action's time.  Until then a
    detection that fails is tried anew: add_again() removes the address, adds it, and tells why
    that failed, "" if it did not.  Exits 1 where another host keeps the address, where the address
    is gone, and where `ip` does not say.
    """
    begin = time.monotonic()
    again = end = begin + min(LIMIT, children.remaining() * SHARE)
    while True:
        try:
            now, problem = state(vip), ""
        except addresses.Unreadable as failed:
            now, problem = TENTATIVE, str(failed)
        if now == ENDED:
            return True
        if now == GONE:
            ocf_exit_reason(f"{vip} has gone again while duplicate address detection was waited "
                            "for")
            raise OcfExit(OCF_ERR_GENERIC)
        if now == FAILED:
            if time.monotonic() + AGAIN > again:
                take_duplicate_away(vip)
            try_again(vip, add_again)
            end = max(end, time.monotonic() + min(LAST_TRY, children.remaining() * 0.9))
        elif time.monotonic() > end:
            break
        else:
            time.sleep(POLL)
    if problem:
        ocf_exit_reason(f"cannot tell whether another host has {vip.ip}: {problem}")
        raise OcfExit(OCF_ERR_GENERIC)
    return False


def try_again(vip, add_again) -> None:
    """Give the other host a second to let go of the address, then add it anew; exits 1 where the
    kernel refuses that."""
    ocf_log("warn", f"IPv6 address collision {vip.ip} [DAD]: another host has it; tried anew in a "
            "second")
    time.sleep(AGAIN)
    told = add_again()
    if told:
        ocf_exit_reason(f"Failed to add {vip} again: {told}")
        raise OcfExit(OCF_ERR_GENERIC)


def take_duplicate_away(vip):
    """Delete an IPv6 address that another host has, and exit 1."""
    ocf_log("err", f"IPv6 address collision {vip.ip} [DAD]")
    if ocf_run(addresses.ip_command() + ["-f", "inet6", "addr", "del", "dev", vip.nic,
                                         f"{vip.ip}/{vip.prefix}"]):
        ocf_log("err", f"Could not delete IPv6 address {vip.ip}")
    ocf_exit_reason(f"IPv6 address collision: another host has {vip.ip} (dadfailed)")
    raise OcfExit(OCF_ERR_GENERIC)


def wait_in_background(vip, index: int):
    """Look once a second, for as long as it takes; the Vip, by its interface's name now, if
    detection ended well, else None.

    index is the interface's number.  An address that turns out to be another host's is left for
    monitor to tell.
    """
    while True:
        time.sleep(LOOK)
        children.set_deadline(LOOK_LIMIT)        # for this look; there is no action any more
        try:
            now = state(vip)
            renamed = [one.nic for one in lookout.find(vip, index)
                       if one.prefix == vip.prefix and one.nic != vip.nic] if now == GONE else []
        except addresses.Unreadable:
            continue
        if renamed:
            vip, now = vip.renamed(renamed[0]), TENTATIVE
        if now == FAILED:
            ocf_log("err", f"IPv6 address collision {vip.ip} [DAD]: another host has it; it is "
                    "not announced")
        elif now == GONE:
            ocf_log("info", f"{vip} has gone before duplicate address detection ended")
        if now != TENTATIVE:
            return vip if now == ENDED else None


def is_open(vip) -> bool:
    """Whether the address must not be announced: detection goes on, or has failed."""
    try:
        return state(vip) in (TENTATIVE, FAILED)
    except addresses.Unreadable:
        return False
