"""What lies on the disk of an installed plugin: its files and their hash, read and never run."""

import ast
import hashlib
import importlib.metadata
import importlib.util
from pathlib import Path

from hedge.plugins.found import Found

STATED = ("METADATA", "entry_points.txt")
"""What of a distribution's metadata counts; the rest says how and by whom it was installed."""


def digest_of(one: Found) -> str:
    """Return ``sha256:...`` over the names and contents of a package's installed files."""
    whole = hashlib.sha256()
    for name, path in sorted(installed_files(one).items()):
        try:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
        except OSError:
            content = "absent"
        whole.update(f"{name}\0{content}\n".encode())
    return f"sha256:{whole.hexdigest()}"


def installed_files(one: Found) -> dict[str, Path]:
    """Return a package's files, by their names from the place of installation on.

    Those that its metadata lists, and whatever else lies in its packages. Scripts outside and
    compiled caches are left out: the first are not imported, the others are made on each machine.
    """
    distribution = importlib.metadata.distribution(one.distribution)
    root = Path(str(distribution.locate_file("")))
    names = {file.as_posix() for file in distribution.files or () if ".." not in file.parts}
    top = module_of(one).partition(".")[0]
    own = (f"{top}.py", f"{top}/__init__.py")  # where the metadata lists nothing
    names |= {name for name in own if (root / name).is_file()}
    for package in {name.partition("/")[0] for name in names if _opens_package(name)}:
        within = (path for path in (root / package).rglob("*") if path.is_file())
        names |= {path.relative_to(root).as_posix() for path in within}
    return {name: root / name for name in names if _counts(name)}


def _opens_package(name: str) -> bool:
    """Say whether it is the first file of a package at the top, which is one distribution's own."""
    return name.count("/") == 1 and name.endswith("/__init__.py")


def _counts(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    if folder.endswith(".dist-info"):
        return last in STATED
    return "__pycache__" not in folder.split("/")


def module_of(one: Found) -> str:
    return one.value.partition(":")[0].strip()


def claimed_hooks(one: Found) -> tuple[str, ...]:
    """Return the hooks that an entry point's source defines; () where there is none to read."""
    source = _source_of(one)
    if source is None:
        return ()
    try:
        tree = ast.parse(source.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    functions = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return tuple(sorted(name for name in functions if name.startswith("hedge_")))


def _source_of(one: Found) -> Path | None:
    """Return the file of the module; only its top package is looked up, so that nothing runs."""
    top, *below = module_of(one).split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not below and spec.origin:
        return Path(spec.origin)
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder, *below)
        for path in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            if path.is_file():
                return path
    return None


def stated(one: Found) -> dict[str, str]:
    """Return what the distribution's metadata says of itself: summary, author, home page."""
    meta = importlib.metadata.metadata(one.distribution)
    names = {"summary": "Summary", "author": "Author", "home page": "Home-page"}
    found = {key: str(meta[name]) for key, name in names.items() if meta[name]}
    urls = meta.get_all("Project-URL") or []
    return found | ({"home page": str(urls[0])} if urls and "home page" not in found else {})
