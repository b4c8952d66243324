"""The JavaScript: its types hold, and what `npm pack` makes is a package that works. Skipped where there is no npm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

import gifting
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WITHIN = 100
USE = """
import { GiftingClient, GiftingError } from "gifting";
import type { GiftEvent } from "gifting/protocol";
const client = new GiftingClient({ url: "wss://gifts.example.org/v1/ws", token: "a.b.c", rooms: [{ room: "r1" }] });
client.on("event", ({ room, event }) => {
  if (event.type === "gift") show(room, event);
});
client.on("user", ({ event }) => event.type === "wallet" && event.coins.toFixed());
client.on("refused", ({ error }: { error: GiftingError }) => error.temporary);
const show = (room: string, { gift, repeat_count }: GiftEvent) => `${room} ${gift.name} ${repeat_count + 1}`;
const status: "accepted" | "open" | "refused" | "unknown" = (await client.giftStatus("key")).state;
// @ts-expect-error: a count is a number
await client.sendGift("r1", "spark", "5");
// @ts-expect-error: there is no such event
client.on("evnt", () => status);
"""


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=WITHIN, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package's folder and of what it packs, with TypeScript in it."""
    if shutil.which("npm") is None:
        pytest.skip("there is no npm on this machine")
    tree = tmp_path_factory.mktemp("npm")
    ignored = shutil.ignore_patterns("node_modules", "lib", "*.tgz")
    shutil.copytree(ROOT / "web", tree / "web", ignore=ignored)
    shutil.copytree(ROOT / "gifting" / "web" / "static", tree / "gifting" / "web" / "static")
    shutil.copy(ROOT / "LICENSE", tree)
    done = subprocess.run(
        ("npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"),
        cwd=tree / "web",
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"npm has nowhere to get TypeScript from: {done.stderr[-200:]}")
    return tree / "web"


def test_the_types_of_client_and_pages_hold(tree: Path) -> None:
    run(tree, "npm", "run", "check")


def test_a_packed_client_has_types_and_can_be_imported(tree: Path, tmp_path: Path) -> None:
    [packed] = json.loads(run(tree, "npm", "pack", "--json", "--pack-destination", str(tmp_path)))
    files = {file["path"] for file in packed["files"]}
    client = {path.name for path in (ROOT / "gifting" / "web" / "static" / "lib").iterdir()}
    assert {f"lib/{name}" for name in client} <= files
    assert {"lib/gifting.d.ts", "LICENSE", "README.md", "package.json"} <= files
    run(tmp_path, "tar", "-xzf", packed["filename"])  # Python's own has no filter before 3.11.4
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "package").rename(tmp_path / "node_modules" / "gifting")
    (tmp_path / "use.ts").write_text(USE)
    options = ("--strict", "--noEmit", "--target", "es2023", "--module", "esnext", "--moduleResolution", "bundler")
    run(tmp_path, str(tree / "node_modules" / ".bin" / "tsc"), *options, "--types", "", "use.ts")
    made = "new GiftingClient({ url: 'ws://127.0.0.1:1/v1/ws', rooms: [{ room: 'r1' }] })"
    script = f"import {{ GiftingClient }} from 'gifting'; console.log({made}.state)"
    assert run(tmp_path, "node", "--input-type=module", "-e", script) == "closed\n"


def test_the_package_is_of_the_same_version_and_its_lock_names_no_host() -> None:
    package = json.loads((ROOT / "web" / "package.json").read_text())
    assert package["version"] == gifting.__version__
    lock = (ROOT / "web" / "package-lock.json").read_text()
    assert "://" not in lock
    assert all("integrity" in entry for path, entry in json.loads(lock)["packages"].items() if path)
