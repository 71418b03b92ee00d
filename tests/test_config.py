from __future__ import annotations

from pathlib import Path

import pytest

from hermetic.config import Config, channel_url, config_path, load_config, public_channel_url
from hermetic.errors import UsageError


@pytest.fixture
def user_file(tmp_path: Path) -> Path:
    return tmp_path / "user" / "config.toml"


def load(user_file: Path, text: str = "", **environ: str) -> Config:
    user_file.parent.mkdir(exist_ok=True)
    user_file.write_text(text)
    return load_config(environ={"HERMETIC_CONFIG": str(user_file), **environ})


class TestOrder:
    def test_nothing_is_configured(self, tmp_path: Path) -> None:
        config = load_config(environ={"XDG_CONFIG_HOME": str(tmp_path)}, base=tmp_path)
        assert config == Config(base=tmp_path)

    def test_the_environment_wins_over_the_project_and_the_project_over_the_user(
        self, user_file: Path, tmp_path: Path
    ) -> None:
        user_file.parent.mkdir()
        user_file.write_text('[channels]\na = "https://user/a"\nb = "https://user/b"\nc = "https://user/c"\n')
        config = load_config(
            {"a": "https://project/a", "b": "https://project/b"},
            base=tmp_path,
            environ={"HERMETIC_CONFIG": str(user_file), "HERMETIC_CHANNELS": "a=https://env/a  d=https://env/d"},
        )
        assert config.channels == {
            "a": "https://env/a",
            "b": "https://project/b",
            "c": "https://user/c",
            "d": "https://env/d",
        }

    def test_indexes_and_the_rest(self, user_file: Path) -> None:
        text = 'default-index = "https://mirror.example.org/simple"\noffline = true\nstore = "big"\n[indexes]\ni = "https://u/i"\n'
        config = load(user_file, text, HERMETIC_INDEXES="j=https://e/j")
        assert config.indexes == {"i": "https://u/i", "j": "https://e/j"}
        assert config.default_index == "https://mirror.example.org/simple"
        assert config.offline
        assert config.store == user_file.parent / "big"

    def test_registries(self, user_file: Path) -> None:
        text = '[registries]\n"r.example.org" = "https://mirror.example.org/hub"\nlab = "http://10.0.0.7:5000"\n'
        config = load(
            user_file, text, HERMETIC_REGISTRIES="lab=http://${WHO}@127.0.0.1:5000 r:80=https://x.example.org"
        )
        assert config.registries == {
            "r.example.org": "https://mirror.example.org/hub",
            "lab": "http://${WHO}@127.0.0.1:5000",
            "r:80": "https://x.example.org",
        }

    @pytest.mark.parametrize(
        "text", ["registries = 1", '[registries]\nlab = "10.0.0.7:5000"', '[registries]\n"a/b" = "https://x"']
    )
    def test_registries_without_a_sound_address(self, user_file: Path, text: str) -> None:
        with pytest.raises(UsageError, match="registries"):
            load(user_file, text)

    @pytest.mark.parametrize("text", ["lab", "lab=10.0.0.7:5000", "a/b=https://x", "=https://x"])
    def test_the_environments_registries_without_a_sound_address(self, user_file: Path, text: str) -> None:
        with pytest.raises(UsageError, match="HERMETIC_REGISTRIES"):
            load(user_file, HERMETIC_REGISTRIES=text)

    def test_where_images_go(self, user_file: Path) -> None:
        text = 'registry = "registry.example.org/team"'
        assert load(user_file, text).registry == "registry.example.org/team"
        assert load(user_file, text, HERMETIC_REGISTRY="localhost:5000/").registry == "localhost:5000"

    @pytest.mark.parametrize("text", ["https://registry.example.org", "me:secret@registry.example.org", "a b"])
    def test_where_no_image_can_go(self, user_file: Path, text: str) -> None:
        with pytest.raises(UsageError, match="no place for images") as caught:
            load(user_file, HERMETIC_REGISTRY=text)
        assert "secret" not in str(caught.value)

    def test_the_environments_store_wins(self, user_file: Path) -> None:
        assert load(user_file, 'store = "/big"', HERMETIC_STORE="/other").store == Path("/other")

    @pytest.mark.parametrize(("text", "offline"), [("1", True), ("true", True), ("0", False), ("", False)])
    def test_offline_by_the_environment(self, user_file: Path, text: str, offline: bool) -> None:
        assert load(user_file, HERMETIC_OFFLINE=text).offline is offline

    def test_offline_by_the_call(self, tmp_path: Path) -> None:
        assert load_config(environ={"XDG_CONFIG_HOME": str(tmp_path)}, offline=True).offline

    def test_where_the_users_file_is(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        assert config_path({}) == tmp_path / ".config" / "hermetic" / "config.toml"
        assert config_path({"XDG_CONFIG_HOME": "/etc/xdg"}) == Path("/etc/xdg/hermetic/config.toml")
        assert config_path({"HERMETIC_CONFIG": "~/h.toml"}) == tmp_path / "h.toml"


class TestPaths:
    def test_of_the_project_are_relative_to_it(self, tmp_path: Path) -> None:
        config = load_config({"demo": "./channel"}, base=tmp_path, environ={"XDG_CONFIG_HOME": str(tmp_path)})
        assert config.channels["demo"] == str(tmp_path / "channel")

    def test_of_the_user_are_relative_to_their_file(self, user_file: Path) -> None:
        assert load(user_file, '[channels]\nx = "../c"').channels["x"] == str(user_file.parent.parent / "c")

    def test_a_tilde_is_the_home(self, user_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        assert load(user_file, '[channels]\nx = "~/c"').channels["x"] == "/home/me/c"


BAD = {
    "no TOML": ("[channels\n", 1, "TOML"),
    "an unknown key": ('offline = true\nchanels = "x"\n', 2, "chanels"),
    "a channel without address": ("[channels]\nx = 1\n", 2, "'x'"),
    "an empty address": ('[channels]\nx = ""\n', 2, "'x'"),
    "a strange name": ('[channels]\n"a b" = "https://x"\n', 2, "a b"),
    "a list of channels": ('channels = ["a"]\n', 1, "table"),
    "a word for offline": ('offline = "yes"\n', 1, "offline"),
    "a number for the store": ("store = 1\n", 1, "store"),
    "not UTF-8": ("\udcff", None, "TOML"),
}


class TestBadInput:
    @pytest.mark.parametrize(("text", "line", "says"), BAD.values(), ids=BAD.keys())
    def test_the_users_file(self, user_file: Path, text: str, line: int | None, says: str) -> None:
        user_file.parent.mkdir()
        user_file.write_bytes(text.encode(errors="surrogateescape"))
        with pytest.raises(UsageError) as caught:
            load_config(environ={"HERMETIC_CONFIG": str(user_file)})
        assert caught.value.place
        assert (caught.value.place.file, caught.value.place.line) == (str(user_file), line)
        assert says in caught.value.message
        assert caught.value.remedy

    def test_a_named_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="HERMETIC_CONFIG"):
            load_config(environ={"HERMETIC_CONFIG": str(tmp_path / "gone.toml")})

    def test_a_folder_instead_of_a_file(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="cannot read"):
            load_config(environ={"HERMETIC_CONFIG": str(tmp_path)})

    @pytest.mark.parametrize("text", ["x", "x=", "=https://e", "https://me:secret@example.org/x"])
    @pytest.mark.parametrize("variable", ["HERMETIC_CHANNELS", "HERMETIC_INDEXES"])
    def test_the_environment(self, user_file: Path, variable: str, text: str) -> None:
        with pytest.raises(UsageError, match=variable) as caught:
            load(user_file, **{variable: text})
        assert "secret" not in str(caught.value)

    def test_neither_on_nor_off(self, user_file: Path) -> None:
        with pytest.raises(UsageError, match="HERMETIC_OFFLINE"):
            load(user_file, HERMETIC_OFFLINE="maybe")


class TestChannelUrl:
    def test_a_configured_name(self) -> None:
        config = Config(channels={"demo": "https://mirror.example.org/demo/"})
        assert channel_url(config, "demo") == "https://mirror.example.org/demo"
        assert channel_url(config, "demo", "linux-64") == "https://mirror.example.org/demo/linux-64"

    def test_a_folder(self, tmp_path: Path) -> None:
        config = Config(channels={"demo": str(tmp_path / "a b")})
        assert channel_url(config, "demo", "noarch") == f"file://{tmp_path}/a%20b/noarch"

    @pytest.mark.parametrize("text", ["./channel", "channel/../channel"])
    def test_a_folder_by_its_path(self, tmp_path: Path, text: str) -> None:
        config = Config(base=tmp_path, channels={} if text.startswith(".") else {text: text})
        assert channel_url(config, text) == f"file://{tmp_path}/channel"

    def test_a_url_stays(self) -> None:
        assert channel_url(Config(), "https://example.org/c") == "https://example.org/c"

    def test_variables_are_put_in_at_the_moment_of_use(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CHANNEL_TOKEN", "abc")
        config = Config(channels={"demo": "https://me:${CHANNEL_TOKEN}@example.org/demo"})
        assert channel_url(config, "demo") == "https://me:abc@example.org/demo"
        monkeypatch.delenv("CHANNEL_TOKEN")
        with pytest.raises(UsageError, match="CHANNEL_TOKEN"):
            channel_url(config, "demo")

    def test_for_a_file_credentials_are_left_out_and_their_variables_need_not_be_set(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name in ("CHANNEL_USER", "CHANNEL_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        config = Config(channels={"demo": "https://${CHANNEL_USER}:${CHANNEL_TOKEN}@example.org/demo", "plain": "/c"})
        assert public_channel_url(config, "demo", "noarch") == ("https://example.org/demo/noarch", True)
        assert public_channel_url(config, "plain", "noarch") == ("file:///c/noarch", False)

    def test_for_a_file_a_variable_may_hold_the_whole_address(self, monkeypatch: pytest.MonkeyPatch) -> None:
        config = Config(channels={"demo": "${MIRROR_ADDRESS}/demo"})
        monkeypatch.setenv("MIRROR_ADDRESS", "https://me:abc@example.org")
        assert public_channel_url(config, "demo") == ("https://example.org/demo", True)
        monkeypatch.setenv("MIRROR_ADDRESS", "https://example.org")
        assert public_channel_url(config, "demo") == ("https://example.org/demo", False)

    @pytest.mark.parametrize("name", ["conda-forge", "conda-forge/label/broken"])
    def test_a_bare_name_is_the_clients_own_default(self, name: str) -> None:
        from rattler import Channel

        assert channel_url(Config(), name, "noarch") == f"{Channel(name).base_url.rstrip('/')}/noarch"
