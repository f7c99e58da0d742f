# SPDX-License-Identifier: BSD-3-Clause
"""`--ep-patches` and `--rc-patches`, and how every format tells what a driver behaves as."""

import json
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from pair_fake import Lab
from pair_recordings import observations

from ntbbench.cli.lab_pair_patches import parse_patches
from ntbbench.cli.main import main
from ntbbench.core.errors import InputError
from ntbbench.lab.pair.drivers.observed_patches import observed_driver
from ntbbench.lab.pair.plan import PairRecordings
from ntbbench.lab.pair.records import PairResult, load_pair_result

EP, RC = tuple(range(1, 8)), tuple(range(8, 13))


@pytest.mark.parametrize(
    ("text", "numbers", "patches"),
    [
        ("none", EP, ()),
        ("full", EP, EP),
        ("full", RC, RC),
        ("1-7", EP, EP),
        ("2,3,5", EP, (2, 3, 5)),
        ("5, 2-3,3", EP, (2, 3, 5)),
        ("9-11", RC, (9, 10, 11)),
        ("12", RC, (12,)),
    ],
)
def test_a_list_of_patches(text: str, numbers: tuple[int, ...], patches: tuple[int, ...]) -> None:
    assert parse_patches("--x", text, numbers) == patches


@pytest.mark.parametrize(
    "text", ["", "0", "8", "7-1", "1-", "-3", "1,,2", "all", "1.5", "9999", "²"]
)
def test_what_is_no_list_of_patches_is_told_with_what_is(text: str, capsys) -> None:
    with pytest.raises(InputError) as caught:
        parse_patches("--ep-patches", text, EP)
    assert str(caught.value).startswith(f"--ep-patches: '{text}'")
    assert "none, full, or patches of 1-7 as 1-7 or 1,7" in str(caught.value)
    assert main(["lab", "pair", "run", f"--ep-patches={text}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "--ep-patches" in line


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_patches_reach_the_boot(lab: Lab, tmp_path: Path, command: str) -> None:
    out = ("-o", str(tmp_path / "r.json"))
    assert main(["lab", "pair", command, "--ep-patches", "1-7", *out]) == 0
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (EP, None)
    assert (
        main(["lab", "pair", command, "--rc-driver", "before", "--rc-patches", "none", *out]) == 0
    )
    assert (lab.plans[-1].setup.ep_patches, lab.plans[-1].setup.rc_patches) == (None, ())


@pytest.mark.parametrize(
    ("driver", "given", "allowed"), [("before", "1-7", "none"), ("after", "1-6", "full")]
)
def test_a_named_driver_has_the_patches_of_its_name(
    lab: Lab, capsys, driver: str, given: str, allowed: str
) -> None:
    words = ["lab", "pair", "run", "--ep-driver", driver, "--ep-patches", given]
    assert main(words) == 2
    told = capsys.readouterr().err
    assert f"--ep-patches: '{given}'" in told and f"{allowed}, which `{driver}` stands for" in told
    assert main([*words, "--bisect"]) == 255
    assert lab.plans == []


def observed_as(boot: str, **changed: str):
    """Return what gives the recordings of a guest the observations of `boot`."""

    def change(recordings: PairRecordings) -> PairRecordings:
        seen = observations(boot)
        seen["ep"].update(changed)
        setup = recordings.plan.setup
        ep = observed_driver(replace(recordings.ep, spec="my.c"), setup, seen)
        return replace(recordings, ep=ep, rc=observed_driver(recordings.rc, setup, seen))

    return change


def test_every_format_tells_what_the_drivers_behave_as(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.change = observed_as("after-after")
    out, html = tmp_path / "r.json", tmp_path / "r.html"
    told = {}
    for name in ("text", "md", "csv", "json"):
        words = ["lab", "pair", "run", "--format", name, "-o", str(out), "--html", str(html)]
        assert main(words) == 0
        told[name] = capsys.readouterr().out
    for text in (told["text"], told["md"]):
        assert "EP behaves as: patches 1-7 (all)" in text
        assert "RC behaves as: patches 8-12 (all)" in text
    assert "patches 1-7 (all)" in told["csv"]
    assert "behaves as: patches 8-12 (all)" in html.read_text()
    point = json.loads(told["json"])["points"][0]
    assert (point["ep_behaves"], point["rc_patches"]) == ("patches 1-7 (all)", list(RC))
    ep, rc = json.loads(told["json"])["observed"]
    assert (ep["side"], ep["driver"], ep["findings"], ep["alike"]) == ("ep", "my.c", [], 1)
    assert rc["observations"]["slot 3, vectors"] == "1"


def test_a_finding_is_told_and_fails_the_run(lab: Lab, tmp_path: Path, capsys) -> None:
    lab.change = observed_as("after-after", **{"db_vector_mask(2)": "0x0"})
    assert main(["lab", "pair", "run", "-o", str(tmp_path / "r.json")]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "EP driver: no known behaviour fits: db_vector_mask(2): 0x0 instead of 0x4" in told
    assert "the model agrees in 0 of 2 points " in told
    assert main(["lab", "pair", "run", "--bisect", "-o", str(tmp_path / "r.json")]) == 1


def test_results_from_before_there_were_observations_are_read(lab: Lab, tmp_path, capsys) -> None:
    out = tmp_path / "r.json"
    assert main(["lab", "pair", "run", "-o", str(out)]) == 0
    result = json.loads(out.read_text())
    del result["observed"]
    for point in result["points"]:
        del point["ep_behaves"], point["rc_behaves"]
    out.write_text(json.dumps(result))
    old = load_pair_result(out)
    assert (old.observed, old.points[0].ep_behaves) == ([], "")
    capsys.readouterr()
    assert main(["show", str(out)]) == 0
    told = capsys.readouterr().out
    assert "patches: EP 1-7, RC 8-12 (not observed)" in told
    assert msgspec.json.decode(msgspec.json.encode(old), type=PairResult) == old
