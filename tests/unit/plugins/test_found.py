"""Goal: what is installed is known without running it, and only what was allowed may load.

Method: real packages with metadata in a temporary directory; ``sys.modules`` is the witness.
"""

import sys
from pathlib import Path

import pytest

from hedge.errors import ConfigError, PluginError
from hedge.plugins import discover, load_plugins
from hedge.plugins.found import parse_allow


def test_discovery_reads_metadata_only(tmp_path: Path, make) -> None:
    module = make("acme", "raise RuntimeError('ran')")
    (found,) = discover([str(tmp_path)])
    assert (found.name, found.value, found.distribution, found.version) == (
        "acme", module, "hedge-acme", "1.2.0",
    )  # fmt: skip
    assert found.provider == "hedge-acme 1.2.0"
    assert not found.bundled
    assert module not in sys.modules


def test_a_package_nobody_allowed_never_runs(tmp_path: Path, make) -> None:
    module = make("acme", "raise RuntimeError('ran')")
    for allow in ((), ("hedge-acme==1.2.1",), ("hedge-other==1.2.0",), ("hedge-acme==1.2.0 @ /x",)):
        with pytest.raises(PluginError, match=r"not allowed; .* plugins allow acme$"):
            load_plugins(["acme"], allow=allow, found=discover([str(tmp_path)]))
        load_plugins(found=discover([str(tmp_path)]), allow=allow).load_all()
    assert module not in sys.modules


@pytest.mark.parametrize("line", ["hedge-acme==1.2.0", "Hedge_Acme == 1.2.0", "hedge.acme==1.2.0"])
def test_allowed_by_name_and_version(tmp_path: Path, make, line: str) -> None:
    make("acme")
    host = load_plugins(["acme"], allow=[line], found=discover([str(tmp_path)]))
    assert host.loaded == ("acme",)
    assert host.provider("acme") == "hedge-acme 1.2.0"


def test_editable_needs_its_folder_and_is_refused_live(tmp_path: Path, make) -> None:
    make("acme", editable="/home/me/acme%20x")
    found = discover([str(tmp_path)])
    assert found[0].allow_line == "hedge-acme==1.2.0 @ /home/me/acme x"
    with pytest.raises(PluginError, match="not allowed"):
        load_plugins(["acme"], allow=["hedge-acme==1.2.0"], found=found)
    assert load_plugins(["acme"], allow=[found[0].allow_line], found=found).loaded
    with pytest.raises(PluginError, match="unpinned, refused with live"):
        load_plugins(["acme"], allow=[found[0].allow_line], found=found, live=True)


def test_what_is_not_locked_is_refused_live(tmp_path: Path, make) -> None:
    module = make("acme")
    found, allow = discover([str(tmp_path)]), ["hedge-acme==1.2.0"]
    with pytest.raises(PluginError, match="has no lock: unpinned, refused with live"):
        load_plugins(["acme"], allow=allow, found=found, live=True)
    folder = tmp_path / "not-there"
    with pytest.raises(PluginError, match=r"is not locked: .*cannot be written"):
        load_plugins(["acme"], allow=allow, found=found, live=True, lock=folder / "hedge.toml")
    assert module not in sys.modules
    host = load_plugins(["acme"], allow=allow, found=found, lock=folder / "hedge.toml")
    assert "cannot be written" in host.notes[0], "without real money it is only said"
    config = tmp_path / "hedge.toml"
    for _ in range(2):
        host = load_plugins(["acme"], allow=allow, found=found, live=True, lock=config)
        assert host.loaded == ("acme",)
    assert host.notes == [], "it was locked the first time"


def test_bundled_needs_no_line(tmp_path: Path, make) -> None:
    make("acme", distribution="hedge-engine")
    assert load_plugins(["acme"], found=discover([str(tmp_path)])).loaded == ("acme",)


def test_two_of_one_name_are_refused_naming_both(tmp_path: Path, make) -> None:
    make("acme", distribution="hedge-engine", version="0.1.0")
    make("acme")
    found = discover([str(tmp_path)])
    assert load_plugins(["acme"], found=found).provider("acme") == "hedge-engine 0.1.0"
    make("good", distribution="hedge-other")
    allow = ["hedge-acme==1.2.0", "hedge-other==1.2.0"]
    host = load_plugins(found=discover([str(tmp_path)]), allow=allow)
    with pytest.raises(PluginError, match=r"hedge-acme 1\.2\.0 and hedge-engine 0\.1\.0"):
        host.spec("acme")
    assert host.provider("good") == "hedge-other 1.2.0", "everybody else goes on"


@pytest.mark.parametrize("line", ["acme", "acme>=1", "acme==", "acme==1 @ relative", "==1", ""])
def test_a_malformed_allowance_is_a_configuration_error(line: str) -> None:
    with pytest.raises(ConfigError, match="is not name==version"):
        parse_allow(line)
