"""Goal: secrets stay secret: who may read a file decides whether we do, and no error tells them.

Method: real files with real modes; every message and dump is searched for the marker.
"""

from pathlib import Path

import pytest

from hedge.config import resolve
from hedge.errors import ConfigError

MARK = "s3cr3t-marker"
ACCOUNT = '[accounts.carry]\nvenue = "bybit"\n'


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def at(folder: Path, **environ: str):
    return resolve(environ=environ, cwd=folder)


def test_config_that_others_can_write_is_refused(tmp_path: Path) -> None:
    for mode in (0o620, 0o602, 0o666):
        put(tmp_path / "hedge.toml", ACCOUNT, mode)
        with pytest.raises(ConfigError, match="others can write it"):
            at(tmp_path)
    put(tmp_path / "hedge.toml", ACCOUNT, 0o644)
    assert at(tmp_path).settings.accounts["carry"].venue == "bybit"


@pytest.mark.parametrize(
    "text",
    [
        f'{ACCOUNT}api_key = "{MARK}"',
        f'[venues.bybit]\napi_secret = "{MARK}"',
        f'[notifiers.phone]\nplugin = "telegram"\ntoken = "{MARK}"',
    ],
)
def test_config_with_a_secret_must_be_private(tmp_path: Path, text: str) -> None:
    put(tmp_path / "hedge.toml", text, 0o640)
    with pytest.raises(ConfigError, match="holds a secret") as caught:
        at(tmp_path)
    assert MARK not in str(caught.value)
    put(tmp_path / "hedge.toml", text, 0o600)
    resolved = at(tmp_path)
    assert MARK not in f"{resolved}{list(resolved.rows())}".replace(
        f"'api_secret': '{MARK}'", "" if "venues" in text else "kept"
    )


def test_secret_files_and_credentials(tmp_path: Path) -> None:
    put(tmp_path / "hedge.toml", ACCOUNT)
    file = put(tmp_path / "secrets" / "accounts__carry__api_key", f"{MARK}\n")
    resolved = at(tmp_path)
    assert resolved.settings.accounts["carry"].secrets() == {"api_key": MARK}
    assert resolved.source("accounts.carry.api_key") == f"secret file {file}"
    assert MARK not in f"{resolved} {list(resolved.rows())}"
    assert resolved.warnings == ()
    put(tmp_path / "credentials" / "accounts__carry__api_key", "other", 0o440)
    put(tmp_path / "credentials" / "tls.key", "not ours", 0o440)
    credentials = at(tmp_path, CREDENTIALS_DIRECTORY=str(tmp_path / "credentials"))
    assert credentials.settings.accounts["carry"].secrets() == {"api_key": "other"}


def test_a_secret_file_others_can_read_is_refused(tmp_path: Path) -> None:
    put(tmp_path / "hedge.toml", ACCOUNT)
    put(tmp_path / "secrets" / "accounts__carry__api_key", MARK, 0o640)
    with pytest.raises(ConfigError, match="others can read it") as caught:
        at(tmp_path)
    assert MARK not in str(caught.value)


def test_a_misnamed_secret_is_refused_by_name(tmp_path: Path) -> None:
    put(tmp_path / "hedge.toml", ACCOUNT)
    file = put(tmp_path / "secrets" / "accounts__carry__api_kye", MARK)
    with pytest.raises(
        ConfigError, match=r'"api_kye" in accounts\.carry; nearest: "api_key"'
    ) as caught:
        at(tmp_path)
    assert MARK not in str(caught.value)
    file.rename(file.with_name("api_key"))
    with pytest.raises(ConfigError, match="no secret has this name"):
        at(tmp_path)


def test_environment_secrets_are_taken_with_a_warning(tmp_path: Path) -> None:
    put(tmp_path / "hedge.toml", ACCOUNT)
    resolved = at(tmp_path, HEDGE__ACCOUNTS__CARRY__API_KEY=MARK)
    assert resolved.settings.accounts["carry"].secrets() == {"api_key": MARK}
    assert len(resolved.warnings) == 1
    assert MARK not in resolved.warnings[0]


def test_dotenv(tmp_path: Path) -> None:
    put(tmp_path / "hedge.toml", ACCOUNT)
    put(
        tmp_path / ".env",
        "# HEDGE__RUN__TICK_MS=1\nOTHER=x\nexport HEDGE__RUN__TICK_MS='2000' # two seconds\n",
    )
    assert at(tmp_path).settings.run.tick_ms == 2000
    put(tmp_path / ".env", f"HEDGE__ACCOUNTS__CARRY__API_KEY={MARK}", 0o644)
    with pytest.raises(ConfigError, match="holds a secret"):
        at(tmp_path)
    put(tmp_path / ".env", "HEDGE__RUN__TICK_MS")
    with pytest.raises(ConfigError, match="line 1 is not NAME=value"):
        at(tmp_path)
    put(tmp_path / ".env", 'HEDGE__RUN__TICK_MS="1')
    with pytest.raises(ConfigError, match="quotes do not close"):
        at(tmp_path)


def test_unreadable_files_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "hedge.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        at(tmp_path)
    (tmp_path / "hedge.toml").rmdir()
    (tmp_path / "hedge.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        at(tmp_path)
    (tmp_path / "hedge.toml").write_text("a = " + "[" * 5_000)
    with pytest.raises(ConfigError, match="malformed TOML"):
        at(tmp_path)
    (tmp_path / "hedge.toml").write_text("a = " + "9" * 5_000)
    with pytest.raises(ConfigError, match="malformed TOML"):
        at(tmp_path)
