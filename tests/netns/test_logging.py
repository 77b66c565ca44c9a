# SPDX-License-Identifier: GPL-2.0-only
"""Where log lines go and what they look like; the reason on stderr."""

import re
import socket
import subprocess

import pytest

VIP = "192.0.2.50"
STAMP = r"\w{3} [ \d]\d \d\d:\d\d:\d\d "
PATH = ":/usr/sbin:/usr/bin:/sbin:/bin"


def test_lines_of_the_logfile(agent):
    done = agent("start", ip=VIP, arp_bg="false")
    lines = done.log.splitlines()
    assert len(lines) > 1
    for line in lines:
        assert re.match(STAMP + r" IPaddr2\(vip\)\[\d+\]:    [A-Z]+: ", line), line
    assert VIP + "/24" in done.log
    assert done.err == ""


def test_tag_without_an_instance(agent):
    done = agent("start", ip=VIP, env={"OCF_RESOURCE_INSTANCE": None})
    assert re.match(STAMP + r" IPaddr2(\(default\))?\[\d+\]:    INFO: ", done.log), done


def test_tag_names_the_agents_process(agent):
    with open(agent.folder / "out", "w") as out:
        process = agent.start_process("start", out, out, ip=VIP, arp_bg="false")
        process.wait(20)
    assert "IPaddr2(vip)[%d]:" % process.pid in agent.log()


def test_stderr_where_nothing_else_is_set(agent):
    done = agent("start", ip=VIP, arp_bg="false", env={"HA_LOGFILE": None})
    assert done.log == "" and done.out == ""
    assert re.match(STAMP + "INFO: ", done.err), done


def test_debuglog_gets_a_copy(agent):
    other = agent.folder / "debug.log"
    done = agent("start", ip=VIP, arp_bg="false", env={"HA_DEBUGLOG": str(other)})
    assert done.log != ""
    lines = other.read_text().splitlines()
    assert len(lines) == len(done.log.splitlines())
    for line in lines:
        assert re.match(r"IPaddr2\(vip\)\[\d+\]:\t" + STAMP + "[A-Z]+: ", line), line


#: Runs a command with a /dev of its own: the null device and the socket made by the test.
OWN_DEV = """touch "$DEV/null" && mount --bind /dev/null "$DEV/null" &&
mount --bind "$DEV" /dev && exec "$@" """


def test_logfacility_goes_to_syslog(agent, need):
    unshare = need("unshare", "util-linux")
    dev = agent.folder / "dev"
    dev.mkdir()
    (dev / "fd").symlink_to("/proc/self/fd")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(dev / "log"))
        log.settimeout(5)
        command = [unshare, "--mount", "--propagation", "private", "sh", "-c", OWN_DEV, "sh"]
        env = dict(agent.environment("start", ip=VIP, arp_bg="false"), DEV=str(dev),
                   HA_LOGFACILITY="local3")
        subprocess.run(command + agent.command("start"), env=env, timeout=30, check=True)
        said = log.recv(4096).decode()
    priority = 19 * 8 + 6   # facility local3, severity info: RFC 3164
    assert re.match(r"<%d>%sIPaddr2\(vip\)\[\d+\]: INFO: " % (priority, STAMP), said), said
    assert agent.log() != ""


@pytest.mark.parametrize("status", [0, 1])
def test_logd_goes_through_ha_logger(agent, status):
    tools = agent.stand_in("ha_logger", 'printf "%%s|" "$@" >>"$HA_RSCTMP/said"; '
                                        'echo >>"$HA_RSCTMP/said"; exit %d\n' % status)
    done = agent("start", ip=VIP, arp_bg="false", env={"HA_LOGD": "yes", "PATH": tools + PATH})
    said = (agent.rsctmp / "said").read_text()
    assert re.match(r"-t\|IPaddr2\(vip\)\[\d+\]\|INFO: ", said), said
    assert (done.log == "") is (status == 0)


def test_reason_is_one_line_and_logged(agent):
    done = agent("start", ip="rubbish")
    assert done.err.startswith("ocf-exit-reason:") and done.err.count("\n") == 1
    assert "ERROR: " + done.reason in done.log


def test_reason_prefix(agent):
    done = agent("start", ip="rubbish", env={"OCF_EXIT_REASON_PREFIX": "why: "})
    assert done.err.startswith("why: ") and "ocf-exit-reason" not in done.err


def test_percent_signs_stay(agent):
    done = agent("start", ip="100%s%d")
    assert "100%s%d" in done.reason


@pytest.mark.parametrize("debug", ["0", "1"])
def test_debug_lines(agent, debug):
    other = agent.folder / "debug.log"
    agent("start", ip=VIP, arp_bg="false")
    agent("monitor", ip=VIP, arp_bg="false", arp_count_refresh=1,
          env={"HA_debug": debug, "HA_DEBUGLOG": str(other)})
    assert ("DEBUG: " in (other.read_text() if other.exists() else "")) is (debug == "1")


def test_unwritable_logfile_is_no_matter(agent):
    done = agent("start", ip=VIP, env={"HA_LOGFILE": "/nonexistent/agent.log"})
    assert done.rc == 0, done


@pytest.mark.slow
def test_commands_in_the_log_can_be_pasted(agent):
    done = agent("start", ip=VIP, arp_bg="false", arp_sender="iputils_arping", arp_count=1,
                 send_arp_opts="-q -s 192.0.2.50")
    assert "arping -q -s 192.0.2.50 -U -c 1 -I eth0 192.0.2.50" in done.log


def test_trace(agent):
    done = agent("monitor", ip=VIP, env={"OCF_TRACE_RA": "1",
                                         "OCF_TRACE_FILE": str(agent.folder / "trace")})
    assert done.rc == 7
    assert "ip -o -f inet" in (agent.folder / "trace").read_text() + done.err
