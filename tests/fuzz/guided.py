"""Goes through every door of `doors` for some minutes each, led by the coverage of what it enters.

    python tests/fuzz/guided.py [--minutes 10] [--door NAME ...] [--keep DIR]

The fuzzer is atheris (libFuzzer), which is installed here where it is not yet; it has wheels for a
few interpreters only, and so is no part of the environment. The minutes are shared out among the
doors. What was found is said with the file that shows it, which `doors.py NAME FILE` tries again;
exit 1 when there is one.
"""

import argparse
import importlib.util
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

NEEDS = "atheris>=3"
GRACE_S = 60
INPUT_BYTES_MAX = 4_096


def one_door(name: str, seconds: int, corpus: Path) -> None:
    """Fuzz one door in this process; libFuzzer ends it."""
    import atheris

    with atheris.instrument_imports(
        include=["hedge", "hedge_binance", "hedge_bybit", "hedge_ccxt"]
    ):
        from doors import doors, knock

    door = doors()[name]
    for number, data in enumerate(door.welcome):
        (corpus / f"welcome-{number}").write_bytes(data)
    atheris.Setup(
        [
            "guided", str(corpus), f"-max_total_time={seconds}", f"-max_len={INPUT_BYTES_MAX}",
            f"-artifact_prefix={corpus.parent}/", "-print_final_stats=1", "-verbosity=0",
            "-timeout=20", "-rss_limit_mb=2048",
        ],
        lambda data: knock(door, data),
    )  # fmt: skip
    atheris.Fuzz()


def main() -> int:
    if sys.argv[1:2] == ["--alone"]:
        name, seconds, corpus = sys.argv[2:]
        one_door(name, int(seconds), Path(corpus))  # before anything is imported unlooked at
        return 0
    from doors import doors

    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--door", action="append", choices=sorted(doors()))
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        install = [sys.executable, "-m", "pip", "install", "-q", "--only-binary=:all:", NEEDS]
        subprocess.run(install, check=True)
    names = given.door or list(doors())
    seconds = max(1, round(given.minutes * 60 / len(names)))
    found = 0
    for name in names:
        found += not held(name, seconds, given.keep or Path(tempfile.mkdtemp(prefix="hedge-fuzz-")))
    print(f"{len(names)} doors, {seconds} s each: {found} with a find")
    return 1 if found else 0


def held(name: str, seconds: int, folder: Path) -> bool:
    """Fuzz one door in a process of its own; say how often it was entered, and what was found."""
    place = folder / name.replace(" ", "-")
    corpus = place / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    line = [sys.executable, __file__, "--alone", name, str(seconds), str(corpus)]
    done = subprocess.run(
        line, capture_output=True, text=True, errors="replace", check=False,
        timeout=seconds + GRACE_S,
    )  # fmt: skip
    times = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    grown = len(list(corpus.iterdir()))
    print(f"{name}: {times[1] if times else '?'} times, {grown} kinds", flush=True)
    if done.returncode == 0:
        return True
    shown = next((one for one in place.iterdir() if one.is_file()), place)
    said = [one for one in done.stdout.splitlines() + done.stderr.splitlines() if "Error" in one]
    print(f"  {said[0] if said else done.stderr[-500:]}\n  {shown}")
    return False


if __name__ == "__main__":
    sys.exit(main())
