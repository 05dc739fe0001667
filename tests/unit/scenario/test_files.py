"""Which files a scenario gets to see: attacks by paths, links, pipes, devices and the kernel's own files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netlab.model.problem import ScenarioError
from netlab.scenario import files, find_default, folder_environment, load, named_by_variable

SECRET = "root:$y$j9T$secret:19000:0\nPASSWORD=secret\n"
PLAIN = "services: {web: {image: x}}\n"
#: how a scenario names a file; ``FILE`` is its path
NAMING = {
    "include": "include: [FILE]\n" + PLAIN,
    "include-env": "include: [{path: inner.yaml, env_file: FILE}]\n" + PLAIN,
    "include-folder": "include: [{path: inner.yaml, project_directory: FOLDER}]\n" + PLAIN,
    "extends": "services: {web: {extends: {file: FILE, service: web}}}\n",
    "iptables": PLAIN + "x-netlab: {host: {firewall: {iptables: FILE}}}\n",
    "nftables": PLAIN + "x-netlab: {host: {firewall: {nftables: FILE}}}\n",
    "ufw": PLAIN + "x-netlab: {host: {firewall: {ufw: {after_rules: FILE}}}}\n",
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Another user's folder beside a file of one's own."""
    (tmp_path / "outside").mkdir()
    for name in ("secret", ".env"):
        (tmp_path / "outside" / name).write_text(SECRET)
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "inner.yaml").write_text("services: {db: {image: x, hostname: '${PASSWORD}'}}\n")
    return folder


def said(*paths: Path, **options: object) -> str:
    """What is wrong with a scenario."""
    with pytest.raises(ScenarioError) as caught:
        load(paths, environ={}, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize("way", ["above", "absolute", "link", "link-folder", "chain", "magic"])
@pytest.mark.parametrize("naming", NAMING)
def test_nothing_outside_is_read(project: Path, naming: str, way: str) -> None:
    outside = project.parent / "outside"
    (project / "link").symlink_to(outside / "secret")
    (project / "folder").symlink_to(outside)
    (project / "chain").symlink_to("folder/secret")
    (project / "magic").symlink_to(f"/proc/self/root/{outside}")
    file, folder = {
        "above": ("../outside/secret", "../outside"),
        "absolute": (f"{outside}/secret", f"{outside}"),
        "link": ("link", "folder"),
        "link-folder": ("folder/secret", "folder/"),
        "chain": ("chain", "./folder"),
        "magic": ("magic/secret", "magic"),
    }[way]
    scenario = project / "s.yaml"
    scenario.write_text(NAMING[naming].replace("FILE", file).replace("FOLDER", folder))
    words = said(scenario)
    assert "outside the scenario's folder; allow_outside_files lets it be read" in words
    assert "secret:" not in words.replace("/secret:", "")
    assert "y$j9T" not in words


@pytest.mark.parametrize("name", ["compose.yaml", "compose.override.yaml", "netlab.yaml", ".env"])
def test_what_is_found_in_a_folder_must_lie_there(project: Path, name: str) -> None:
    for other in ("compose.yaml", name):
        (project / other).write_text(PLAIN)
    (project / name).unlink()
    (project / name).symlink_to("../outside/secret")
    words = said(*find_default(project), found_in=project)
    assert "is outside the scenario's folder" in words
    assert "j9T" not in words


def test_compose_file_in_a_file_of_variables_names_nothing_outside(project: Path) -> None:
    (project / ".env").write_text("COMPOSE_FILE=inner.yaml:../outside/secret\n")
    environ = folder_environment(project, {})
    assert named_by_variable(project, environ)
    found = find_default(project, environ)
    assert "outside the scenario's folder" in said(*found, found_in=project)


def test_the_user_may_name_and_allow_what_he_likes(project: Path) -> None:
    (project.parent / "outside" / "vars").write_text("PASSWORD=known\n")
    (project.parent / "outside" / "s.yaml").write_text(PLAIN)
    (project / "s.yaml").symlink_to("../outside/s.yaml")
    words = "is a link out of its folder; allow_outside_files lets it be read"
    assert words in said(project / "s.yaml")
    load([project / "s.yaml"], environ={}, allow_outside_files=True)
    (project / "v").symlink_to("../outside/vars")
    assert words in said(project / "inner.yaml", env_files=[project / "v"])
    (project / "beside.yaml").symlink_to("inner.yaml")
    load([project / "beside.yaml"], environ={}, env_files=[project.parent / "outside" / "vars"])
    (project / "t.yaml").write_text("include: [{path: inner.yaml, env_file: ../outside/vars}]\n" + PLAIN)
    for options in ({"allow_outside_files": True}, {"project_directory": project.parent}):
        if "project_directory" in options:
            text = (project / "t.yaml").read_text()
            (project / "t.yaml").write_text(text.replace("../", "").replace("inner", "project/inner"))
        scenario = load([project / "t.yaml"], environ={}, **options)  # type: ignore[arg-type]
        assert {service.hostname for service in scenario.services} >= {"known"}


@pytest.mark.parametrize(
    "file", ["/proc/kmsg", "/proc/self/environ", "/sys/kernel/notes", "/dev/zero", "pipe"]
)
@pytest.mark.parametrize("naming", [name for name in NAMING if name != "include-folder"])
def test_devices_pipes_and_the_kernels_files_are_not_read_even_if_allowed(
    project: Path, naming: str, file: str
) -> None:
    os.mkfifo(project / "pipe")
    scenario = project / "s.yaml"
    scenario.write_text(NAMING[naming].replace("FILE", file))
    assert "not a regular file" in said(scenario, allow_outside_files=True)


def test_a_named_file_of_the_kernel_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").symlink_to("/proc/kmsg")
    for name in ("/proc/kmsg", tmp_path / "s.yaml"):
        assert "a file of the kernel's own" in said(Path(name), allow_outside_files=True)


def test_a_file_without_end_is_bounded(project: Path) -> None:
    with (project / "big.yaml").open("wb") as file:
        file.truncate(files.FILE_LIMIT + 1)
    (project / "s.yaml").write_text("include: [big.yaml]\n" + PLAIN)
    assert "big.yaml is larger than 64 MiB" in said(project / "s.yaml")


def test_a_link_that_comes_after_the_check_is_not_followed(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is resolved, and only then somebody puts a link there: at the file, and above it."""
    (project / "sub").mkdir()
    (project / "sub" / "secret").write_text(PLAIN)
    reader = files.Files.beneath(project)
    for swapped in (project / "sub" / "secret", project / "sub"):
        real, path = (project / "sub" / "secret").resolve(), project / "sub" / "secret"
        monkeypatch.setattr(Path, "resolve", lambda self, real=real: real)
        os.rename(swapped, project / "gone")
        swapped.symlink_to("../outside" if swapped.name == "sub" else "../../outside/secret")
        with pytest.raises(ScenarioError) as caught:
            reader.read(path, "sub/secret", files.Position("s.yaml", 1, 1))
        assert "j9T" not in str(caught.value)
        swapped.unlink()
        os.rename(project / "gone", swapped)
        monkeypatch.undo()
