"""What must be on disk, and who may read it."""

from __future__ import annotations

from tests.mutations.mutant import of

MUTANTS = (
    *of(
        "gifting/ledger/embedded/aof.py",
        "attack_durability",
        ("    for entry in (folder, data_dir):\n        sync_directory(entry)\n", ""),
        ("        sync_directory(data_dir.parent)\n", "        pass\n"),
        ("        os.fchmod(file, 0o600)\n        os.fsync(file)\n", "        os.fchmod(file, 0o600)\n"),
        ("            os.fsync(target.fileno())\n", ""),
        ('        if in_order or path.name.endswith((".base.rdb", ".base.aof")):\n', "        if True:\n"),
        ("            path.unlink(missing_ok=True)\n", "            pass\n"),
        ("        raise DiskFailed(", "        DiskFailed("),
    ),
    *of(
        "gifting/ledger/embedded/datadir.py",
        "attack_durability",
        ("            sync_directory(path.parent)\n", "            pass\n"),
        ("        data_dir.chmod(0o700)\n", ""),
    ),
    *of(
        "gifting/ledger/embedded/datadir.py",
        "audit_command",
        ("    return folder.is_dir() and any(folder.iterdir())\n", "    return folder.is_dir()\n"),
        ("    return folder.is_dir() and any(folder.iterdir())\n", "    return True\n"),
    ),
)
