# SPDX-License-Identifier: GPL-2.0-only
"""vipctl without a cluster or a network: CIBs as the tools write them, words, columns, pages."""

import argparse
import os
import pathlib
import subprocess
import tarfile

import pytest

from ipaddr2_py import params
from ipaddr2_py.hand import HandError, check, cib, cluster, program, status, target, terminal, verbs
from ipaddr2_py.provider import metadata

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
DATA = CHECKOUT / "tests/data/cib"
CRM = (DATA / "crm.xml").read_text("utf-8")


def by_id(path, node="n1"):
    return {one.id: one for one in cib.of_file(str(path), node).resources}


# --- the configuration -----------------------------------------------------------------------


def test_resources_of_crm():
    found = by_id(DATA / "crm.xml")
    assert set(found) == {"web-ip", "db-ip", "plain", "shared", "bynode", "byday"}
    assert found["web-ip"].params == {"ip": "192.0.2.50", "nic": "eth0", "cidr_netmask": "24"}
    assert found["web-ip"].agent == "ocf:heartbeat:IPaddr2"
    assert found["web-ip"].inside == ["web"]
    assert found["db-ip"].params["nic"] == "eth1", "its own goes before the template's"
    assert found["plain"].agent == "ocf:ipaddr2py:IPaddr2"


def test_resources_of_pcs():
    found = by_id(DATA / "pcs.xml")
    assert set(found) == {"vip4", "vip6", "everywhere", "inbox"}
    assert (found["vip6"].inside, found["inbox"].inside) == (["pair"], ["box"])
    assert found["everywhere"].meta["clone-max"] == "2", "as many as there are nodes"


def test_environment_of_a_clones_instance():
    shared = by_id(DATA / "crm.xml")["shared"]
    assert shared.instances() == 3
    environment = shared.environment(2)
    assert environment["OCF_RESKEY_CRM_meta_clone"] == "2"
    assert environment["OCF_RESKEY_CRM_meta_clone_max"] == "3"
    assert environment["OCF_RESKEY_CRM_meta_globally_unique"] == "true"
    assert environment["OCF_RESOURCE_INSTANCE"] == "shared:2"
    anonymous = by_id(DATA / "pcs.xml")["everywhere"]
    assert anonymous.instances() == 1
    assert anonymous.environment()["OCF_RESOURCE_INSTANCE"] == "everywhere"
    assert "OCF_RESKEY_CRM_meta_clone" not in by_id(DATA / "crm.xml")["plain"].environment()


@pytest.mark.parametrize("node, ip, told", [
    ("n1", "192.0.2.71", False), ("n2", "192.0.2.70", False), ("", "192.0.2.70", True)])
def test_rules_by_node(node, ip, told):
    found = by_id(DATA / "crm.xml", node)["bynode"]
    assert found.params["ip"] == ip
    assert bool(found.remarks) is told


def test_rules_that_cannot_be_judged_are_told():
    found = by_id(DATA / "crm.xml")["byday"]
    assert found.params["ip"] == "192.0.2.80" and "rule" in found.remarks[0]


@pytest.mark.parametrize("inside", ["cib.xml", "node1/cib.xml", "sos/pacemaker/cib.xml"])
@pytest.mark.parametrize("kind", ["folder", "tar.gz", "tar.bz2"])
def test_reports(tmp_path, inside, kind):
    folder = tmp_path / "report"
    (folder / inside).parent.mkdir(parents=True)
    (folder / inside).write_text(CRM)
    path = folder
    if kind != "folder":
        path = tmp_path / ("report." + kind)
        with tarfile.open(path, "w:" + kind[4:]) as archive:
            archive.add(folder, "report")
    assert "web-ip" in by_id(path)


@pytest.mark.parametrize("text", ["", "no xml", "<a/>", "<cib/>", "<cib><configuration>"])
def test_what_is_no_cib(tmp_path, text):
    (tmp_path / "cib.xml").write_text(text)
    with pytest.raises(HandError) as told:
        cib.of_file(str(tmp_path / "cib.xml"))
    assert told.value.code == 2 and "\n" not in str(told.value)


@pytest.mark.parametrize("path", ["/nonexistent", "/etc", "/dev/null"])
def test_where_no_cib_is(path):
    with pytest.raises(HandError):
        cib.of_file(path)


def test_where_the_cluster_has_them():
    text = """<pacemaker-result><resources>
    <resource id="vip4" role="Started"><node name="n2" id="2"/></resource>
    <resource id="off" role="Stopped"/>
    <clone id="c"><resource id="s:0" role="Started"><node name="n1"/></resource></clone>
    </resources></pacemaker-result>"""
    assert cluster.parse(text) == {"vip4": ["n2"], "off": [], "s:0": ["n1"]}
    assert cluster.parse("no xml") == {}


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("word, ids", [
    ("web-ip", ["web-ip"]), ("web", ["web-ip"]), ("shared-clone", ["shared"]),
    ("shared:1", ["shared"]), ("2001:db8:0::50", ["plain"]), ("192.0.2.51", ["db-ip"])])
def test_a_resource_by_any_name(word, ids):
    known = cib.of_file(str(DATA / "crm.xml"), "n1")
    assert [one.id for one in target.named(known, word)] == ids


@pytest.mark.parametrize("word, near", [("web-pi", "web-ip"), ("plian", "plain"),
                                        ("192.0.2.99", "there are: db-ip"), ("", "there are")])
def test_an_unknown_resource_names_the_nearest(word, near):
    with pytest.raises(HandError, match=near) as told:
        target.named(cib.of_file(str(DATA / "crm.xml"), "n1"), word)
    assert told.value.code == 2


@pytest.mark.parametrize("words, values", [
    (["192.0.2.1"], {"ip": "192.0.2.1"}), (["2001:db8::1", "nic=e0"], {"ip": "2001:db8::1",
                                                                       "nic": "e0"}),
    (["nic=e0", "ip=192.0.2.1", "broadcast="], {"ip": "192.0.2.1", "nic": "e0", "broadcast": ""})])
def test_by_hand(words, values):
    assert target.by_hand(words).params == values


@pytest.mark.parametrize("words, told", [
    (["nicc=e0", "ip=192.0.2.1"], "did you mean nic"), (["ip=192.0.2.1", "x"], "neither"),
    (["nic=e0"], "ip=ADDRESS is missing"), (["ip=", "nic=e0"], "ip=ADDRESS is missing")])
def test_wrong_words(words, told):
    with pytest.raises(HandError, match=told) as problem:
        target.by_hand(words)
    assert problem.value.code == 2


def test_without_a_cluster_it_says_what_to_do(fp, monkeypatch):
    with pytest.raises(HandError, match="ip=ADDRESS"):
        target.read_cib(argparse.Namespace(cib=""))


@pytest.mark.parametrize("argv", [
    ["status", "--dry-run"], ["explain", "x", "--force"], ["nonsense"], ["check", "--cib", "x"],
    [], ["monitor", "x", "--json"]])
def test_wrong_use(argv, capsys):
    with pytest.raises(SystemExit) as leaving:
        program.arguments(argv)
    assert leaving.value.code == 2 and "usage: vipctl" in capsys.readouterr().err


def test_without_words_it_asks_for_a_verb(capsys):
    with pytest.raises(SystemExit) as leaving:
        program.arguments([])
    assert leaving.value.code == 2
    assert "are required: VERB\n" in capsys.readouterr().err


@pytest.mark.parametrize("whose, verdict, text", [
    ("iputils", check.FINE, "arping from iputils 20221126"),
    ("busybox", check.FINE, "BusyBox v1.35.0"),
    ("habets", check.KNOW, "not that of iputils or BusyBox, which run_arping needs")])
def test_whose_arping_it_is(fp, captured, whose, verdict, text):
    fp.query("arping -V", captured("arping-" + whose))
    report = check.Report()
    check.check_senders(report)
    (told,) = [line for line in report.lines if line["topic"] == "arping"]
    assert told["verdict"] == verdict and text in told["text"]


def test_help_fits_one_screen(capsys):
    with pytest.raises(SystemExit):
        program.arguments(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40 and max(map(len, lines)) <= 80
    assert all(any(line.startswith("  " + verb.name) for line in lines) for verb in verbs.VERBS)


# --- columns and pages -----------------------------------------------------------------------


def row(**given):
    return {"resource": "vip", "agent": "ocf:heartbeat:IPaddr2", "address": "192.0.2.50",
            "prefix": 24, "interface": "eth0", "nodes": ["n1"], "here": True, "status": "ok",
            "link": "UP", "flags": [], "label": "", "bucket": None, "buckets": None,
            "announcing": False, "problems": [], "remarks": [], **given}


def test_rows_fit_80_columns():
    long = row(resource="a-rather-long-name", interface="enp65s0f0np0", nodes=["node-1"],
               address="2001:db8:1234:5678::1", prefix=64)
    text = status.text([row(), long])
    assert all(len(line) <= 80 for line in text.splitlines())
    assert status.status([row()]) == 0


def test_what_disagrees_is_marked():
    text = status.text([row(problems=["the cluster has it here, but it is not"], here=False,
                            status="no")])
    assert text.splitlines()[1].startswith("!") and "! vip: the cluster has it here" in text
    assert status.status([row(problems=["x"])]) == 1


@pytest.mark.parametrize("seen, mine, live, problems", [
    ({}, True, True, 0), ({}, False, True, 1), ({}, False, False, 0),
    ({"status": "no", "places": []}, True, True, 1), ({"status": "no", "places": []}, False, True,
                                                      0)])
def test_disagreements(seen, mine, live, problems):
    place = {"nic": "eth0", "prefix": 24, "flags": [], "label": "", "peer": "", "broadcast": ""}
    seen = {"status": "ok", "reason": "", "places": [place], **seen}
    assert len(status.disagreements(seen, seen["status"] == "ok", mine, live, [])) == problems


def test_colours_are_for_terminals(monkeypatch):
    assert terminal.paint("bad", "x") == "x"
    monkeypatch.setattr(terminal.sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.paint("bad", "x") == "\033[31mx\033[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("bad", "x") == "x"


def test_the_manual_page_names_every_verb_and_option():
    page = metadata.render_vipctl_manpage(date="2026-01-01").replace("\\-", "-")
    for one in [verb.name for verb in verbs.VERBS] + [option.flag for option in verbs.OPTIONS]:
        assert ".B " + one in page, one


@pytest.mark.slow
@pytest.mark.parametrize("words, found", [
    (["vipctl", "ex"], "explain"), (["vipctl", "start", "arp_s"], "arp_sender="),
    (["vipctl", "start", "arp_sender", "=", "bu"], "builtin"),
    (["vipctl", "start", "nodad", "="], "true"), (["vipctl", "stop", "--f"], "--force"),
    (["vipctl", "check", "--"], "--json"), (["vipctl", "explain", "nic", "=", "l"], "lo")])
def test_completion(tmp_path, words, found):
    path = tmp_path / "vipctl"
    path.write_text(metadata.render_completion())
    script = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vipctl; ' \
        'echo "${COMPREPLY[@]}"'
    done = subprocess.run(["bash", "-c", script, "bash", str(path), *words], check=True, text=True,
                          stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]})
    assert found in done.stdout.split()


def test_choices_are_of_parameters():
    assert set(params.CHOICES) <= {parameter.name for parameter in params.TABLE}
